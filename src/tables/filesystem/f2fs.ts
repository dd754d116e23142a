import type { SimpleFilesystem } from "./filesystem.ts";

export const f2fs = {
  packages: ["f2fs-tools"],
  modules: ["f2fs"],
  grubModules: ["f2fs"],
  longestLabel: 16,
  fsck: true,
  // The kernel's include/linux/f2fs_fs.h.
  superblock: { markAt: 1024, mark: Uint8Array.of(0x10, 0x20, 0xf5, 0xf2), uuidAt: 1024 + 108 },
  // mkfs.f2fs refuses less: its own segments have no room.
  leastBytes: () => 44 * 2 ** 20,
  buildOptions: ["noatime"],
  program: "mkfs.f2fs",
  args: (uuid, label) => ["-q", "-f", "-U", uuid, ...(label === undefined ? [] : ["-l", label])],
} as const satisfies SimpleFilesystem;
