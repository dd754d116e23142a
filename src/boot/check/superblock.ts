import { open } from "node:fs/promises";

/** Where filesystems keep their mark and their UUID (the kernel's ext4.h, xfs_format.h and btrfs_tree.h, f2fs_fs.h). */
const kinds = [
  { type: "ext4", markAt: 1024 + 0x38, mark: Buffer.from([0x53, 0xef]), uuidAt: 1024 + 0x68 },
  { type: "xfs", markAt: 0, mark: Buffer.from("XFSB"), uuidAt: 32 },
  { type: "btrfs", markAt: 0x10040, mark: Buffer.from("_BHRfS_M"), uuidAt: 0x10020 },
  { type: "f2fs", markAt: 1024, mark: Buffer.from([0x10, 0x20, 0xf5, 0xf2]), uuidAt: 1024 + 108 },
] as const;
const readBytes = 0x10100;

/** What lies at `offsetBytes` of a file or device; undefined where it is none of the filesystems above. */
export async function filesystemAt(
  path: string,
  offsetBytes: number,
): Promise<{ readonly type: string; readonly uuid: string } | undefined> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(readBytes);
    await file.read(bytes, 0, readBytes, offsetBytes);
    const found = kinds.find(({ markAt, mark }) => bytes.subarray(markAt, markAt + mark.length).equals(mark));
    if (found === undefined) return undefined;
    const hex = bytes.toString("hex", found.uuidAt, found.uuidAt + 16);
    return { type: found.type, uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") };
  } finally {
    await file.close();
  }
}
