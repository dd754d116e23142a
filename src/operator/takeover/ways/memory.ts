/** What the base needs besides the copies of itself, in MiB: kernel, Node, dpkg, page cache to work with. */
const workingMib = 420;
/** The same of a base that only unpacks. */
const unpackingMib = 300;
/** Of the kernel alone, before its first program. */
const kernelMib = 160;
/** Left to the old system while the base is loaded beside it. */
export const oldSystemMib = 48;
const mib = 2 ** 20;

/** More than this must stay free on the disk that keeps the base. */
export const cacheReserveMib = 256;

/** MiB, and the sum by which they are counted. */
interface MemoryNeed {
  readonly mib: number;
  readonly sum: string;
}

interface Sizes {
  readonly baseBytes: number;
  /** A tree that is shipped, packed; 0 where none is. */
  readonly treeBytes: number;
  /** The initramfs is laid together on the host's disk. */
  readonly onDisk: boolean;
  /** Packages that are fetched into RAM before the first write. */
  readonly packagesBytes?: number;
}

/** Whether the host's disk has room, beside the base, for a tree and for the initramfs in which both are. */
export function fitsOnDisk(
  cacheMib: number,
  { baseBytes, treeBytes }: Pick<Sizes, "baseBytes" | "treeBytes">,
): boolean {
  return cacheMib - (2 * baseBytes + treeBytes) / mib > cacheReserveMib;
}

/** What a deploy takes of a host's RAM: of all of it, by the base; and of what is available in the old system, by loading the base. Pure. */
export function memoryNeeds({ baseBytes, treeBytes, onDisk, packagesBytes = 0 }: Sizes): {
  readonly total: MemoryNeed;
  readonly available: MemoryNeed;
} {
  const base = Math.ceil(baseBytes / mib);
  const tree = Math.ceil(treeBytes / mib);
  if (tree === 0) {
    const packages = Math.ceil(packagesBytes / mib);
    return {
      // The packed initramfs stands in RAM while the kernel unpacks it, and the unpacked one may take half of RAM.
      total: needOf([
        [2, "base", base],
        [1, "packages", packages],
        [1, "work", workingMib],
      ]),
      // Loading needs one copy as a file on a tmpfs and one in the kernel.
      available: needOf([
        [2, "base", base],
        [1, "old system", oldSystemMib],
      ]),
    };
  }
  const starting = needOf([
    [2, "base", base],
    [2, "tree", tree],
    [1, "kernel", kernelMib],
  ]);
  const working = needOf([
    [1, "base", base],
    [1, "tree", tree],
    [1, "work", unpackingMib],
  ]);
  // kexec reads the file into its own memory and hands it to the kernel, which copies it.
  const copies = onDisk ? 2 : 3;
  return {
    total: starting.mib > working.mib ? starting : working,
    available: needOf([
      [copies, "base", base],
      [copies, "tree", tree],
      [1, "old system", oldSystemMib],
    ]),
  };
}

function needOf(terms: readonly (readonly [times: number, what: string, mib: number])[]): MemoryNeed {
  const counted = terms.filter(([, , size]) => size > 0);
  return {
    mib: counted.reduce((sum, [times, , size]) => sum + times * size, 0),
    sum: counted
      .map(([times, what, size]) => `${times === 1 ? "" : `${times} × `}${what} ${size}`)
      .join(" + "),
  };
}
