import type { Partition } from "../schema/storage.ts";
import { Fail } from "../util/fail.ts";

export const mib = 2 ** 20;

export interface Extent {
  readonly startBytes: number;
  readonly sizeBytes: number;
}

interface Room {
  /** First byte behind the last usable one. */
  readonly end: number;
  readonly sizeBytes: number;
  readonly disk: string;
}

/**
 * An extent for each partition, in their order. Those that are `fixed` stay where they are, and the others fill the room between:
 * absolute sizes and shares first, then flexible ones from their `min` on, all alike, up to their `max` or the end.
 */
export function placeAll(
  partitions: readonly Partition[],
  fixed: readonly (Extent | undefined)[],
  room: Room,
): Extent[] {
  const extents: Extent[] = [];
  let at = mib;
  for (let index = 0; index < partitions.length; ) {
    const own = fixed[index];
    if (own !== undefined) {
      if (own.startBytes < at)
        throw new Fail(
          `partition ${partitions[index]!.name} of disk ${room.disk} is kept and lies before what the definition names before it`,
          { hint: "name partitions in the order in which they lie on the disk" },
        );
      if (own.startBytes + own.sizeBytes > room.sizeBytes)
        throw new Fail(
          `partition ${partitions[index]!.name} of disk ${room.disk} is kept and ends at ${showMib(own.startBytes + own.sizeBytes)}; the disk ends at ${showMib(room.sizeBytes)}`,
          { hint: "the disk's table is older than the disk, or damaged; mend it with sfdisk first" },
        );
      extents.push(own);
      // A kept one may end anywhere.
      at = alignUp(own.startBytes + own.sizeBytes, mib);
      index += 1;
      continue;
    }
    const next = fixed.findIndex((one, other) => other > index && one !== undefined);
    const until = next === -1 ? partitions.length : next;
    const bound = next === -1 ? room.end : Math.floor(fixed[next]!.startBytes / mib) * mib;
    extents.push(...between(partitions.slice(index, until), at, bound, partitions, room));
    index = until;
  }
  return extents;
}

function between(
  partitions: readonly Partition[],
  start: number,
  bound: number,
  all: readonly Partition[],
  room: Room,
): Extent[] {
  for (const { name, size } of partitions.slice(0, -1))
    if (size === "rest")
      throw new Fail(`partition ${name} of disk ${room.disk} has the size "rest" and is not the last one`, {
        hint: 'give it a size, or put it last; only one partition can be "rest"',
      });
  const usable = room.end - mib;
  const limits = partitions.map(({ name, size }) => {
    if (typeof size === "number") return { min: size, max: size };
    if (size === "rest") return { min: mib, max: Infinity };
    if (typeof size === "string") {
      const share = Math.floor((usable * Number.parseInt(size, 10)) / 100 / mib) * mib;
      return { min: share, max: share };
    }
    if (size === undefined) throw new Fail(`partition ${name} of disk ${room.disk} has no size`);
    return { min: size.min ?? mib, max: size.max ?? Infinity };
  });
  const sizes = limits.map(({ min }) => min);
  // Those before may grow: what alignment can cost at most.
  const gaps = partitions.reduce((sum, { align = mib }) => sum + align - mib, 0);
  let free = bound - start - sizes.reduce((sum, size) => sum + size, 0) - gaps;
  // Whoever may still grow does so by the same amount, until nobody may or nothing is left.
  for (;;) {
    const growing = limits.flatMap(({ max }, index) => (sizes[index]! < max ? [index] : []));
    const step = Math.floor(
      Math.min(free / growing.length, ...growing.map((index) => limits[index]!.max - sizes[index]!)) / mib,
    );
    if (growing.length === 0 || free < mib) break;
    for (const index of growing) {
      const more = Math.min(Math.max(step, 1) * mib, free);
      sizes[index] = sizes[index]! + more;
      free -= more;
    }
  }
  const extents: Extent[] = [];
  let at = start;
  for (const [index, { name, align }] of partitions.entries()) {
    const from = alignUp(at, align ?? mib);
    const size = sizes[index]!;
    if (size < mib || from + size > bound) throw tooSmall(all, room, name, bound < room.end);
    extents.push({ startBytes: from, sizeBytes: size });
    at = from + size;
  }
  return extents;
}

function tooSmall(all: readonly Partition[], room: Room, partition: string, enclosed: boolean): Fail {
  const { sizeBytes, end, disk } = room;
  const asked = all.reduce((sum, { size }) => sum + leastOf(size), mib);
  return new Fail(
    `disk ${disk} of ${showMib(sizeBytes)} is too small: partition ${partition} does not fit${enclosed ? " before what is kept" : ""}; ` +
      `the layout needs ${showMib(asked)} and partitions can use ${showMib(Math.max(0, end))}`,
    { hint: "make the partitions smaller, or match a larger disk (`imageSize` for an image)" },
  );
}

/** What a partition takes on any disk. */
export function leastOf(size: Partition["size"]): number {
  if (typeof size === "number") return size;
  return typeof size === "object" ? (size.min ?? mib) : mib;
}

export function showMib(bytes: number): string {
  return `${Math.floor(bytes / mib)} MiB`;
}

function alignUp(at: number, to: number): number {
  return Math.ceil(at / to) * to;
}
