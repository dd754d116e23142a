import type { DiskFacts } from "../schema/facts.ts";
import type { Lock } from "../schema/lock.ts";
import type { Spec } from "../schema/spec.ts";
import { writtenDisks } from "../storage/check-storage.ts";
import { layoutOf } from "../storage/gpt.ts";

/** What packages unpack to, in multiples of their files: seen is three to four, and no less than this. */
const unpacked = { least: 1.5, usual: 3.5 };
const forSystems: ReadonlySet<string> = new Set([
  ...["bios-boot", "esp", "xbootldr", "linux-swap", "linux-root-verity"],
]);

/** Bytes of the partitions that will be made for filesystems, and what the definition puts into them at least and usually. */
export interface Room {
  readonly has: number;
  readonly least: number;
  readonly usual: number;
}

/** Mirrors and parity take more of the partitions than is counted here: what does not fit by this does not fit. */
export function roomOf(
  { storage }: Pick<Spec, "storage">,
  lock: Lock,
  disks: Readonly<Record<string, DiskFacts>>,
): Room {
  const partitions = (storage === undefined ? [] : writtenDisks(storage)).flatMap(([name, disk]) => {
    const seen = disks[name];
    if (seen === undefined) return [];
    return layoutOf(disk, seen.sizeBytes, seen.sectorSize, { seed: "", name }, seen.partitions).partitions;
  });
  const packages = lock.packages.reduce((sum, { size }) => sum + size, 0);
  const swap = storage?.swapFile?.size ?? 0;
  return {
    has: partitions
      .filter(({ kept, type }) => !kept && !forSystems.has(type))
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    least: unpacked.least * packages + swap,
    usual: unpacked.usual * packages + swap,
  };
}
