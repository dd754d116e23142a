import type { SimpleFilesystem } from "./filesystem.ts";

export const xfs = {
  packages: ["xfsprogs"],
  modules: ["xfs"],
  grubModules: ["xfs"],
  longestLabel: 12,
  fsck: false,
  // The kernel's fs/xfs/libxfs/xfs_format.h.
  superblock: { markAt: 0, mark: new TextEncoder().encode("XFSB"), uuidAt: 32 },
  // mkfs.xfs refuses less since 5.19.
  leastBytes: () => 300 * 2 ** 20,
  buildOptions: ["noatime"],
  program: "mkfs.xfs",
  args: (uuid, label) => ["-q", "-f", "-m", `uuid=${uuid}`, ...(label === undefined ? [] : ["-L", label])],
} as const satisfies SimpleFilesystem;
