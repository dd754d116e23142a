import type { Filesystem } from "./filesystem.ts";

export const btrfs = {
  packages: ["btrfs-progs"],
  modules: ["btrfs"],
  grubModules: ["btrfs"],
  longestLabel: 64,
  fsck: false,
  // The kernel's include/uapi/linux/btrfs_tree.h.
  superblock: { markAt: 0x10040, mark: new TextEncoder().encode("_BHRfS_M"), uuidAt: 0x10020 },
  // mkfs.btrfs refuses less of a device.
  leastBytes: () => 109 * 2 ** 20,
  buildOptions: ["noatime"],
  noSwapFile: true,
} as const satisfies Filesystem;
