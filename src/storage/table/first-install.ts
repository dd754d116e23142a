import { mib } from "../../disks/place-partitions.ts";
import type { Storage } from "../../schema/storage.ts";
import type { Content } from "../../schema/storage-content.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { keepOf } from "../graph/graph.ts";

/** What is kept has a size where it is; where it is made for the first time, and is not the last, this one. */
const madeBytes = 256 * mib;
const luksRoom = 16 * mib;

/**
 * The storage of an image: there is nothing yet that could be kept, so it is made, with the UUIDs by which the definition knows it.
 * What is on disks that are kept as a whole stays as it is.
 */
export function firstInstall(storage: Storage): Storage {
  const disks = Object.entries(storage.disks).map(([name, disk]) => {
    if (!("table" in disk)) return [name, disk] as const;
    const { partitions } = disk.table;
    const fresh = partitions.map((partition, index) => ({
      ...partition,
      size:
        partition.size ?? (index === partitions.length - 1 ? ("rest" as const) : madeFor(partition.content)),
      ...(partition.content === undefined ? {} : { content: anew(partition.content) }),
    }));
    return [name, { ...disk, table: { ...disk.table, partitions: fresh } }] as const;
  });
  const groups = Object.entries(storage.volumeGroups).map(([name, { volumes }]) => [
    name,
    {
      volumes: Object.fromEntries(
        Object.entries(volumes).map(([volumeName, volume]) => [
          volumeName,
          {
            ...volume,
            size: volume.size ?? madeFor(volume.content),
            ...(volume.content === undefined ? {} : { content: anew(volume.content) }),
          },
        ]),
      ),
    },
  ]);
  return { ...storage, disks: Object.fromEntries(disks), volumeGroups: Object.fromEntries(groups) };
}

/** A filesystem in LUKS has less by the header; what is larger than it has to be does not matter. */
function madeFor(content: Content | undefined): number {
  const inner = content?.type === "luks" ? content.content : content;
  const least = traitsOf(inner?.type).leastBytes?.(512) ?? 0;
  return Math.max(madeBytes, least + luksRoom);
}

function anew<C extends Content>(content: C): C {
  const own = withUuid(content);
  if (own.type === "luks") return { ...own, content: anew(own.content) };
  if (!("subvolumes" in own)) return own;
  const subvolumes = Object.entries(own.subvolumes).map(([name, { keep: _, ...rest }]) => [name, rest]);
  return { ...own, subvolumes: Object.fromEntries(subvolumes) };
}

function withUuid<C extends Content>(content: C): C {
  const keep = keepOf(content);
  if (keep === undefined) return content;
  const { keep: _, ...rest } = content as C & { keep: unknown };
  return { ...rest, uuid: keep.uuid } as unknown as C;
}
