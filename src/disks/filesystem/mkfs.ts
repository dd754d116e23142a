import { plainEnv } from "../../system/run/run.ts";

/** Options of an ext4 filesystem; the same for a partition's node and for a place in an image, so both come out alike. */
interface Ext4Options {
  readonly uuid: string;
  readonly hashSeed: string;
  readonly label?: string | undefined;
}

/** An ext4 on a whole device; a word may be one that is known later. */
export function mke2fs<Word>(device: Word, ext4: Ext4Options): (string | Word)[] {
  return ["mke2fs", ...common(ext4, []), device];
}

/** An ext4 of that size at an offset of a file, with the content of a directory. */
export function mke2fsInto(
  image: string,
  at: { readonly offsetBytes: number; readonly sizeBytes: number },
  directory: string,
  ext4: Ext4Options,
): string[] {
  return [
    "mke2fs",
    ...common(ext4, [`offset=${at.offsetBytes}`, "nodiscard"]),
    "-d",
    directory,
    image,
    // In KiB: a bare number would be counted in blocks.
    `${at.sizeBytes / 1024}k`,
  ];
}

interface VfatOptions {
  readonly volumeId: string;
  readonly label?: string | undefined;
}

/** A FAT32 on a whole device, with so many sectors in a cluster. */
export function mkfsVfat<Word>(device: Word, sectors: Word, vfat: VfatOptions): (string | Word)[] {
  return ["mkfs.vfat", ...commonVfat(vfat), "-s", sectors, device];
}

/** What tells FAT32 from FAT16 is the count of clusters; firmware reads one with fewer as the other, or not at all. */
const leastClusters = 65_525;
/** Beside the data: reserved sectors and the two tables, generously. */
const overheadShare = 0.98;
const mostSectors = 8;

/** The largest cluster, up to 8 sectors, that leaves enough of them; `checkFirmwareLimits` refuses what has none. */
export function sectorsPerCluster(sizeBytes: number, sectorSize: number): number {
  for (let sectors = mostSectors; sectors > 1; sectors /= 2)
    if ((sizeBytes * overheadShare) / (sectors * sectorSize) >= leastClusters) return sectors;
  return 1;
}

/** A FAT32 of that size at an offset of a file; `hidden` sectors tell firmware where on the disk it lies. */
export function mkfsVfatInto(
  image: string,
  at: { readonly offsetBytes: number; readonly sizeBytes: number },
  vfat: VfatOptions,
): string[] {
  const sector = at.offsetBytes / 512;
  return [
    "mkfs.vfat",
    ...commonVfat(vfat),
    ...["-s", String(sectorsPerCluster(at.sizeBytes, 512))],
    `--offset=${sector}`,
    "-h",
    String(sector),
    image,
    String(at.sizeBytes / 1024),
  ];
}

/** Environment in which mkfs tools, debugfs and mtools write a fixed time instead of the present. */
export function fixedTimeEnv(epoch: number): Readonly<Record<string, string>> {
  return {
    ...plainEnv,
    TZ: "UTC",
    SOURCE_DATE_EPOCH: String(epoch),
    // What e2fsprogs before 1.47.1 knows.
    E2FSPROGS_FAKE_TIME: String(epoch),
    MTOOLS_SKIP_CHECK: "1",
    MTOOLSRC: "/dev/null",
  };
}

function common({ uuid, hashSeed, label }: Ext4Options, extended: readonly string[]): string[] {
  return [
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "4096",
    "-I",
    "256",
    "-U",
    uuid,
    ...(label === undefined ? [] : ["-L", label]),
    "-E",
    [`hash_seed=${hashSeed}`, ...extended].join(","),
  ];
}

function commonVfat({ volumeId, label }: VfatOptions): string[] {
  return ["-F", "32", "--invariant", "-i", volumeId, ...(label === undefined ? [] : ["-n", label])];
}
