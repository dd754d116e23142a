import type { DiskFacts } from "../../schema/facts.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Storage } from "../../schema/storage.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { laidOn } from "../../storage/size/fit.ts";
import { placeKey, type Rooms, roomsOf } from "../../storage/size/room.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";

/** What packages unpack to, in multiples of their files: seen is three to four, and no less than this. */
const unpacked = { least: 1.5, usual: 3.5 };
/** Where packages put files; what is mounted elsewhere is none of theirs. */
const filledByPackages = /^\/($|(usr|var|opt|etc|boot|lib|bin|sbin)(\/|$))/;

/** Bytes of the filesystems that packages fill, and what the definition puts into them at least and usually. */
export interface Room {
  readonly has: number;
  readonly least: number;
  readonly usual: number;
}

/** Counts what filesystems can hold, by what they are on: of a mirror one half, of a RAID 5 all but one, of a thin volume its pool's. */
export function roomOf(
  { storage }: Pick<Spec, "storage">,
  lock: Lock,
  disks: Readonly<Record<string, DiskFacts>>,
): Room {
  const packages = lock.packages.reduce((sum, { size }) => sum + size, 0);
  const swap = storage?.swapFile?.size ?? 0;
  return {
    has: storage === undefined ? 0 : bytesFor(storage, roomsOf(storage, laidOn(storage, disks)).held),
    least: unpacked.least * packages + swap,
    usual: unpacked.usual * packages + swap,
  };
}

function bytesFor(storage: Storage, held: Rooms["held"]): number {
  const mounts = mountsOf(storage).filter(
    ({ kept, type, mount }) => !kept && !filesystems[type].firmware && filledByPackages.test(mount),
  );
  // A filesystem may be mounted at several places, and thin volumes share what their pool has.
  const places = new Set(mounts.map(({ place }) => placeKey(place)));
  let bytes = 0;
  const pools = new Map<string, { data: number; asked: number }>();
  for (const place of places) {
    const size = held.get(place);
    if (size === undefined) continue;
    if (size.thinPool === undefined) bytes += size.bytes;
    else {
      const { name, bytes: data } = size.thinPool;
      const before = pools.get(name)?.asked ?? 0;
      pools.set(name, { data, asked: before + size.bytes });
    }
  }
  for (const { data, asked } of pools.values()) bytes += Math.min(data, asked);
  return bytes;
}
