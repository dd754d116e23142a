import type { DiskFacts } from "../../schema/facts.ts";
import { defaultImageSize, type Storage, type WrittenDisk } from "../../schema/storage.ts";
import { Fail } from "../../util/fail.ts";
import type { Problem } from "../../util/problem.ts";
import { writtenDisks } from "../graph/check-storage.ts";
import { type Layout, layoutOf } from "../table/gpt.ts";
import { roomsOf } from "./room.ts";

type Seen = Pick<DiskFacts, "sizeBytes" | "sectorSize" | "partitions">;

/** The size of each partition on the disks that a machine has. */
export function laidOn(
  storage: Storage,
  disks: Readonly<Record<string, Seen>>,
): (disk: string, partition: string) => number | undefined {
  return sizesIn(
    writtenDisks(storage).flatMap(([name, disk]) => {
      const seen = disks[name];
      if (seen === undefined) return [];
      return [layoutOf(disk, seen.sizeBytes, seen.sectorSize, { seed: "", name }, seen.partitions)];
    }),
  );
}

/** Refuses what cannot fit on these disks: volumes, what is encrypted, the swap file. Partitions were laid out before. */
export function refuseMisfit(storage: Storage, disks: Readonly<Record<string, Seen>>): void {
  const [first] = roomsOf(storage, laidOn(storage, disks)).problems;
  if (first !== undefined)
    throw new Fail(first.message, {
      hint: "make it smaller, or match larger disks (`imageSize` for an image)",
    });
}

/** The same by the sizes that the definition itself declares: that of an image, or the most that a matched disk may have. */
export function declaredMisfits(storage: Storage): Problem[] {
  const layouts = writtenDisks(storage).flatMap(([name, disk]) => {
    const size = declaredSize(disk);
    const layout = size === undefined ? undefined : layoutIfAny(disk, size, name);
    return layout === undefined ? [] : [layout];
  });
  const laid = sizesIn(layouts);
  return [
    ...roomsOf(storage, (disk, name) => laid(disk, name) ?? absoluteSize(storage, disk, name)).problems,
  ];
}

/** Of a partition whose size no disk decides. */
function absoluteSize({ disks }: Storage, disk: string, name: string): number | undefined {
  const written = disks[disk];
  const partitions = written !== undefined && "table" in written ? written.table.partitions : [];
  const size = partitions.find((partition) => partition.name === name)?.size;
  return typeof size === "number" ? size : undefined;
}

function declaredSize({ imageSize, match }: WrittenDisk): number | undefined {
  return imageSize === defaultImageSize ? match.maxSize : imageSize;
}

/** What is wrong with the table itself is said elsewhere, and where kept partitions are only a machine knows. */
function layoutIfAny(disk: WrittenDisk, size: number, name: string): Layout | undefined {
  try {
    return layoutOf(disk, size, 512, { seed: "", name });
  } catch (error) {
    if (error instanceof Fail) return undefined;
    throw error;
  }
}

function sizesIn(layouts: readonly Layout[]): (disk: string, partition: string) => number | undefined {
  return (disk, partition) =>
    layouts.find((layout) => layout.disk === disk)?.partitions.find(({ name }) => name === partition)
      ?.sizeBytes;
}
