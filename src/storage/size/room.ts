import { copiesOver, rowsOver, takeRows } from "../../disks/extents.ts";
import { mib, showMib } from "../../disks/place-partitions.ts";
import type { MdArray, Storage, Volume } from "../../schema/storage.ts";
import type { Pool } from "../../schema/storage-content.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import type { Problem } from "../../util/problem.ts";
import { type Mounted, mountsOf } from "../graph/check-storage.ts";
import { type GraphNode, graphOf, isKept, type Place, showPlace } from "../graph/graph.ts";

/** LVM's, where nothing else is asked for. */
const extentBytes = 4 * mib;
/** Before the first extent: label and metadata of a physical volume. */
const pvHeaderBytes = mib;
/** cryptsetup's, of LUKS2. */
const luksHeaderBytes = 16 * mib;

/** What a place can hold. Of a thin volume that is no more than its pool's data, which others share. */
interface Held {
  readonly bytes: number;
  readonly thinPool?: { readonly name: string; readonly bytes: number };
}

export interface Rooms {
  /** By `showPlace`; of a pool "pool NAME". What is not known (kept, or of no declared size) is not in it. */
  readonly held: ReadonlyMap<string, Held>;
  readonly problems: readonly Problem[];
}

/** What everything of a storage can hold, and what of it cannot fit. `partition`: bytes, undefined where they are not known. */
export function roomsOf(
  storage: Storage,
  partition: (disk: string, name: string) => number | undefined,
): Rooms {
  const held = new Map<string, Held>();
  const problems: Problem[] = [];
  const sizeOf = (place: Place): Held | undefined => {
    if (place.on !== "partition") return held.get(showPlace(place));
    const bytes = partition(place.disk, place.partition.name);
    return bytes === undefined ? undefined : { bytes };
  };
  const set = (key: string, size: Held | undefined) => size !== undefined && held.set(key, size);
  const all = (places: readonly Place[]): number[] | undefined => {
    const sizes = places.flatMap((place) => sizeOf(place)?.bytes ?? []);
    return sizes.length === places.length && sizes.length > 0 ? sizes : undefined;
  };
  const inGroup = (node: Extract<GraphNode, { kind: "group" }>) => {
    const members = all(node.members);
    if (members === undefined || node.kept) return;
    const laid = volumesIn(node, members);
    problems.push(...laid.problems);
    for (const [name, size] of laid.held) held.set(showPlace({ on: "volume", group: node.name, name }), size);
  };
  const { nodes, cycle } = graphOf(storage);
  for (const node of cycle === undefined ? nodes : []) {
    if (node.kind === "array") {
      const members = all(node.members);
      if (members !== undefined)
        set(showPlace({ on: "array", name: node.name }), { bytes: arrayBytes(node.array, members) });
    } else if (node.kind === "group") inGroup(node);
    else if (node.kind === "pool") {
      const members = all(node.members);
      if (members !== undefined) set(`pool ${node.name}`, { bytes: poolBytes(node.pool, members) });
    } else if (node.kind === "content") {
      const size = sizeOf(node.place);
      set(showPlace(node.place), size);
      if (node.content.type === "luks" && size !== undefined) {
        const bytes = size.bytes - (node.content.detachedHeader ? 0 : luksHeaderBytes);
        if (bytes < mib)
          problems.push({
            path: node.path,
            message: `${showMib(size.bytes)} are too little for a LUKS volume; needs ${showMib(luksHeaderBytes + mib)} at least`,
          });
        set(showPlace({ on: "luks", name: node.content.name }), { ...size, bytes: Math.max(0, bytes) });
      }
      const least = isKept(node.content) ? 0 : leastBytes(node.content.type);
      // A thin volume shows mkfs its whole size, however little its pool holds.
      if (size !== undefined && size.thinPool === undefined && size.bytes < least)
        problems.push({ path: node.path, message: tooSmall(size.bytes, node.content.type, least) });
    }
  }
  return { held, problems: [...problems, ...swapProblems(storage, held)] };
}

/** Bytes of an array, by the kernel's rules for each level: the smallest member counts for all but in level 0. */
export function arrayBytes(
  { level, metadata }: Pick<MdArray, "level" | "metadata">,
  members: readonly number[],
): number {
  // mdadm leaves up to a thousandth, at most 128 MiB, before the data for a later change of shape; "1.0" has its superblock at the end.
  const own = (bytes: number) => (metadata === "1.0" ? mib : mib + Math.min(128 * mib, bytes / 1024));
  const data = members.map((bytes) => Math.max(0, Math.floor((bytes - own(bytes)) / mib) * mib));
  const least = Math.min(...data);
  const count = data.length;
  switch (level) {
    case 0:
      return data.reduce((sum, one) => sum + one, 0);
    case 1:
      return least;
    case 5:
      return least * (count - 1);
    case 6:
      return least * (count - 2);
    case 10:
      return Math.floor((least * count) / 2);
  }
}

/** What a btrfs over several devices can hold of data: a chunk lies on as many devices as its profile says. */
export function poolBytes({ data }: Pick<Pool, "data">, members: readonly number[]): number {
  const sum = members.reduce((total, one) => total + one, 0);
  const largest = Math.max(...members);
  switch (data) {
    case "single":
      return sum;
    case "raid0":
      // A stripe is over two devices at least.
      return Math.min(sum, 2 * (sum - largest));
    case "raid1":
    case "raid10":
      return Math.floor(Math.min(sum / 2, sum - largest));
  }
}

/** The volumes of a group that is made anew, in the order in which they are made. */
function volumesIn(
  { name: group, path, group: { volumes } }: Extract<GraphNode, { kind: "group" }>,
  members: readonly number[],
): { readonly held: readonly [name: string, size: Held][]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const held: [string, Held][] = [];
  let free = members.map((bytes) => Math.max(0, Math.floor((bytes - pvHeaderBytes) / extentBytes)));
  const total = free.reduce((sum, one) => sum + one, 0);
  const thick = Object.entries(volumes).filter(([, { kind }]) => kind !== "thin");
  for (const [name, volume] of thick) {
    const most = mostOf(volume, free);
    const wanted = wantedOf(volume, total, most);
    if (wanted > most || wanted < 1) {
      const asked = typeof volume.size === "number" ? `needs ${showMib(volume.size)}` : "needs some room";
      const shape = volume.kind === "linear" ? "" : ` as ${volume.kind}`;
      problems.push({
        path: [...path, "volumes", name],
        message: `volume ${group}/${name} ${asked}${shape}, and of the ${showMib(total * extentBytes)} on the members of ${group} (${members.map(showMib).join(", ")}) ${showMib(most * extentBytes)} can be had for it`,
      });
    }
    const got = Math.min(wanted, most);
    held.push([name, { bytes: got * extentBytes }]);
    free = leftBy(volume, free, got);
  }
  for (const [name, { kind, size, pool }] of Object.entries(volumes)) {
    if (kind !== "thin" || typeof size !== "number" || pool === undefined) continue;
    const data = held.find(([one]) => one === pool)?.[1].bytes ?? 0;
    held.push([name, { bytes: Math.min(size, data), thinPool: { name: `${group}/${pool}`, bytes: data } }]);
  }
  return { held, problems };
}

/** Logical extents that a volume of that kind can have of what is free. */
function mostOf(volume: Volume, free: readonly number[]): number {
  const sum = free.reduce((total, one) => total + one, 0);
  const over = volume.over ?? 2;
  switch (volume.kind) {
    case "striped":
      return rowsOver(free, over) * over;
    case "raid1":
      // One extent of each copy is for LVM's own notes.
      return Math.max(0, copiesOver(free, over) - 1);
    case "thin-pool":
      // Its metadata, and as much again as a spare.
      return Math.max(
        0,
        sum - 2 * thinMetadata(typeof volume.size === "number" ? extentsOf(volume.size) : sum),
      );
    default:
      return sum;
  }
}

function leftBy(volume: Volume, free: readonly number[], extents: number): number[] {
  const over = volume.over ?? 2;
  switch (volume.kind) {
    case "striped":
      return takeRows(free, Math.ceil(extents / over), over);
    case "raid1":
      return takeRows(free, extents + 1, over);
    case "thin-pool":
      return takeRows(free, extents + 2 * thinMetadata(extents), 1);
    default:
      return takeRows(free, extents, 1);
  }
}

function wantedOf({ size, kind, over = 2 }: Volume, total: number, most: number): number {
  if (typeof size === "number") {
    const extents = extentsOf(size);
    return kind === "striped" ? Math.ceil(extents / over) * over : extents;
  }
  // A share is what LVM gives at most.
  if (size === undefined || size === "rest") return most;
  return Math.min(most, Math.floor((total * Number.parseInt(size, 10)) / 100));
}

function extentsOf(bytes: number): number {
  return Math.ceil(bytes / extentBytes);
}

/** A thousandth of the data, to 128 MiB: LVM's chunks grow with the pool so that it is no more. */
function thinMetadata(dataExtents: number): number {
  return Math.max(1, Math.ceil(Math.min(dataExtents / 1024, (128 * mib) / extentBytes)));
}

function swapProblems(storage: Storage, held: ReadonlyMap<string, Held>): Problem[] {
  const { swapFile } = storage;
  if (swapFile === undefined) return [];
  const root = mountsOf(storage).find(({ mount }) => mount === "/");
  const size = root === undefined ? undefined : held.get(placeKey(root.place));
  if (size === undefined || swapFile.size < size.bytes) return [];
  return [
    {
      path: ["storage", "swapFile", "size"],
      message: `the swap file of ${showMib(swapFile.size)} does not fit on the root filesystem of ${showMib(size.bytes)}`,
    },
  ];
}

/** By what the place of a mounted filesystem is found in `held`. */
export function placeKey(place: Mounted["place"]): string {
  return place.on === "pool" ? `pool ${place.name}` : showPlace(place);
}

/** Bytes that a filesystem needs, on a disk of usual sectors. */
export function leastBytes(type: string | undefined): number {
  return traitsOf(type).leastBytes?.(512) ?? 0;
}

export function tooSmall(bytes: number, type: string, least: number): string {
  return `${showMib(bytes)} is too small for ${type}; needs ${Math.ceil(least / mib)}MiB at least`;
}
