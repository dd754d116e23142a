import { open } from "node:fs/promises";
import { filesystems, filesystemTypes } from "../../tables/filesystem/filesystems.ts";

const readBytes = 0x10100;

/** What is at `offsetBytes` of a file or device; undefined where it has the mark of none. */
export async function filesystemAt(
  path: string,
  offsetBytes: number,
): Promise<{ readonly type: string; readonly uuid: string } | undefined> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(readBytes);
    await file.read(bytes, 0, readBytes, offsetBytes);
    for (const type of filesystemTypes) {
      const { superblock } = filesystems[type];
      if (superblock === undefined) continue;
      const { markAt, mark, uuidAt } = superblock;
      if (!bytes.subarray(markAt, markAt + mark.length).equals(mark)) continue;
      const hex = bytes.toString("hex", uuidAt, uuidAt + 16);
      return { type, uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") };
    }
    return undefined;
  } finally {
    await file.close();
  }
}
