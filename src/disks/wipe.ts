import { type Extent, mib } from "./place-partitions.ts";

export type { Extent } from "./place-partitions.ts";

/**
 * Where signatures lie, relative to a device: filesystems, LUKS, LVM, md 1.1 and 1.2 and two of ZFS' labels in the first MiB, md 0.90
 * and 1.0 and ZFS' other two in the last, btrfs' copies of its superblock at 64 MiB and 256 GiB.
 */
const copies = [64 * mib, 256 * 1024 * mib];
const copyBytes = 4096;

/**
 * What is overwritten with zeroes before a new table is written: the places of signatures of the disk as a whole, of the partitions
 * that it had, and of those that it gets, so that no old one stands up in a new place. Never a byte of what is kept.
 */
export function wipeExtents(disk: {
  readonly sizeBytes: number;
  readonly partitions: readonly Extent[];
  readonly kept: readonly Extent[];
}): Extent[] {
  // Where something is kept the table is replaced in place: a power cut must not leave the disk without one.
  const whole = disk.kept.length > 0 ? [] : [{ startBytes: 0, sizeBytes: disk.sizeBytes }];
  const devices = [...disk.partitions, ...whole];
  // A table that is older than its disk may name space beyond the end.
  const beyond = { startBytes: disk.sizeBytes, sizeBytes: Number.POSITIVE_INFINITY };
  return [...disk.kept, beyond].reduce(
    (left, other) => left.flatMap((extent) => without(extent, other)),
    devices.flatMap(places),
  );
}

function places({ startBytes, sizeBytes }: Extent): Extent[] {
  const edge = Math.min(mib, sizeBytes);
  return [
    ...copies
      .filter((at) => at + copyBytes <= sizeBytes)
      .map((at) => ({ startBytes: startBytes + at, sizeBytes: copyBytes })),
    { startBytes: startBytes + sizeBytes - edge, sizeBytes: edge },
    { startBytes, sizeBytes: edge },
  ];
}

function without(one: Extent, kept: Extent): Extent[] {
  const end = one.startBytes + one.sizeBytes;
  const keptEnd = kept.startBytes + kept.sizeBytes;
  const before = { startBytes: one.startBytes, sizeBytes: Math.min(end, kept.startBytes) - one.startBytes };
  const from = Math.max(one.startBytes, keptEnd);
  return [before, { startBytes: from, sizeBytes: end - from }].filter(({ sizeBytes }) => sizeBytes > 0);
}
