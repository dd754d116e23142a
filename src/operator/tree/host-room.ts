import type { Facts } from "../../schema/facts.ts";
import { cacheReserveMib, oldSystemMib } from "../takeover/ways/memory.ts";

const mib = 2 ** 20;
/** What packages unpack to, in multiples of their files; seen is three to four. */
const unpackedPerPackages = 4;
/** Initramfs, logs, files of the payload. */
const extraMib = 128;
/** What the programs take of RAM while they make a tree. */
const programsMib = 256;

/** Where on the running old system a tree is made, and the most that it may take there. */
export interface HostRoom {
  readonly on: "memory" | "disk";
  readonly mib: number;
  readonly sum: string;
  /** Of the packed tree, as far as it is known before. */
  readonly treeBytes: number;
}

/**
 * Room for a tree beside what the old system does: in RAM, if at least half of what is available stays its own; else in a file on the disk that
 * keeps the base. Or why there is none. Pure.
 */
export function hostRoom(
  { memoryMib, cacheMib, lacksForTree = [] }: Pick<Facts, "memoryMib" | "cacheMib" | "lacksForTree">,
  sizes: { readonly baseBytes: number; readonly packagesBytes: number; readonly treeBytes: number },
): HostRoom | { readonly problem: string } {
  if (lacksForTree.length > 0)
    return { problem: `the old system's kernel does not give ${lacksForTree.join(", ")}` };
  const { baseBytes, packagesBytes, treeBytes } = sizes;
  const unpacked = Math.ceil((packagesBytes * unpackedPerPackages) / mib);
  const packed = Math.ceil(treeBytes / mib);
  const needed = unpacked + packed + extraMib;
  const room = {
    mib: needed,
    sum: `unpacked ${unpacked} + packed ${packed} + work ${extraMib}`,
    treeBytes,
  };
  const { available } = memoryMib;
  if (needed + programsMib <= available / 2) return { on: "memory", ...room };
  // Beside it are the base, the packed tree and the initramfs with both.
  const free = cacheMib - Math.ceil((2 * baseBytes + 2 * treeBytes) / mib) - cacheReserveMib;
  if (needed <= free && programsMib + oldSystemMib <= available) return { on: "disk", ...room };
  return {
    problem: `making a tree takes ${needed} MiB (${room.sum}), in RAM beside ${programsMib} MiB for programs: half of ${available} MiB may be used there, and of its disk ${Math.max(0, free)} MiB`,
  };
}
