import type { Dirent } from "node:fs";
import { lstat, lutimes, readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Fail } from "../util/fail.ts";

const block = 4096;

export interface TreeUsage {
  /** Bytes of files and directories in whole blocks, every hard link once. */
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Measures a tree and turns times later than `epoch` (seconds) back to it, so that a tree made twice gives one image;
 * every time of access becomes `epoch`.
 * `without`: absolute directories whose content lies on filesystems of their own.
 */
export async function settleTree(
  tree: string,
  epoch: number,
  without: readonly string[],
): Promise<TreeUsage> {
  const device = (await lstat(tree)).dev;
  const seen = new Set<number>();
  let bytes = 0;
  const skip = new Set(without);
  const visit = async (path: string): Promise<void> => {
    const found = await lstat(path);
    if (found.dev !== device)
      throw new Fail(`something is mounted at ${path}, inside of the tree that becomes the image`, {
        hint: `umount ${path}`,
      });
    if (!seen.has(found.ino)) bytes += Math.ceil(found.size / block) * block;
    seen.add(found.ino);
    if (found.isDirectory() && !skip.has(path)) {
      const entries: Dirent[] = await readdir(path, { withFileTypes: true });
      for (const entry of entries) await visit(join(path, entry.name));
    }
    // The time of the last reading too: whether it is kept depends on how the disk is mounted (noatime).
    const changed = Math.min(found.mtimeMs / 1000, epoch);
    if (found.isSymbolicLink()) await lutimes(path, epoch, changed);
    else if (found.isFile() || found.isDirectory()) await utimes(path, epoch, changed);
  };
  await visit(tree);
  return { bytes, inodes: seen.size };
}

/** Refuses a tree that cannot fit, with the numbers; mke2fs would say so only after minutes of copying. */
export function refuseOverfull(
  usage: TreeUsage,
  sizeBytes: number,
  reservedBytes: number,
  where: string,
): void {
  // What ext4 itself takes: a 256-byte inode for each 16 KiB, and the journal (mke2fs gives 1/32 up to 1 GiB).
  const overhead = sizeBytes / 64 + Math.min(sizeBytes / 32, 2 ** 30);
  const free = Math.floor(sizeBytes - overhead - reservedBytes);
  const show = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  if (usage.bytes > free)
    throw new Fail(
      `the files for ${where} take ${show(usage.bytes)}, but its filesystem of ${show(sizeBytes)} has room for ${show(Math.max(0, free))}` +
        (reservedBytes > 0 ? ` beside the swap file of ${show(reservedBytes)}` : ""),
      { hint: "make the partition or `imageSize` larger" },
    );
  const inodes = Math.floor(sizeBytes / 16_384);
  if (usage.inodes > inodes)
    throw new Fail(`${where} has ${usage.inodes} files, but its filesystem has room for ${inodes}`, {
      hint: "make the partition or `imageSize` larger",
    });
}
