import type { Filesystem } from "./filesystem.ts";

/** FAT32, of an EFI system partition or an extended boot loader partition. */
export const vfat = {
  packages: [],
  modules: [],
  // GRUB finds its menu on the filesystem of /boot, which is no FAT.
  grubModules: [],
  longestLabel: 11,
  fsck: true,
  buildOptions: ["umask=0077"],
  firmware: true,
  // What makes it FAT32 and not FAT16 is having at least 65525 clusters, and a cluster is a sector at least.
  leastBytes: (sectorSize) => 65_525 * sectorSize + 2 * 2 ** 20,
} as const satisfies Filesystem;
