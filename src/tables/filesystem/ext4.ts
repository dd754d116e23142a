import type { Filesystem } from "./filesystem.ts";

export const ext4 = {
  packages: [],
  modules: ["ext4"],
  grubModules: ["ext2"],
  longestLabel: 16,
  fsck: true,
  // The kernel's fs/ext4/ext4.h.
  superblock: { markAt: 1024 + 0x38, mark: Uint8Array.of(0x53, 0xef), uuidAt: 1024 + 0x68 },
  buildOptions: ["noatime"],
  rootOptions: ["errors=remount-ro"],
  everywhere: true,
} as const satisfies Filesystem;
