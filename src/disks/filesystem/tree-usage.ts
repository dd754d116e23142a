import { lstatSync, lutimesSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Fail } from "../../util/fail.ts";
import { type Change, settledTime } from "./tree-delta.ts";

const block = 4096;

export interface TreeUsage {
  /** Bytes of files and directories in whole blocks, every hard link once. */
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Measures a tree and settles its times, so that a tree made twice gives one image: those later than `epoch`, and those from
 * `since` until now (seconds), become `epoch`, as does every time of access.
 * `without`: absolute directories whose content lies on filesystems of their own.
 */
export function settleTree(
  tree: string,
  epoch: number,
  without: readonly string[],
  since = Number.POSITIVE_INFINITY,
): TreeUsage {
  const device = lstatSync(tree).dev;
  const inodes = new Set<number>();
  let bytes = 0;
  const skip = new Set(without);
  const now = Date.now() / 1000;
  const visit = (path: string): void => {
    const found = lstatSync(path);
    if (found.dev !== device)
      throw new Fail(`something is mounted at ${path}, inside of the tree that becomes the image`, {
        hint: `umount ${path}`,
      });
    if (!inodes.has(found.ino)) bytes += Math.ceil(found.size / block) * block;
    inodes.add(found.ino);
    if (found.isDirectory() && !skip.has(path)) for (const name of readdirSync(path)) visit(join(path, name));
    // The time of the last reading too: whether it is kept depends on how the disk is mounted (noatime).
    const changed = settledTime(found.mtimeMs / 1000, { epoch, since, now });
    if (found.isSymbolicLink()) lutimesSync(path, epoch, changed);
    else if (found.isFile() || found.isDirectory()) utimesSync(path, epoch, changed);
  };
  visit(tree);
  return { bytes, inodes: inodes.size };
}

/** Settles a tree's times of change alone, and touches nothing that has a settled one: what an overlay shows stays where it is. */
export function settleTimes(tree: string, epoch: number, since: number): void {
  const now = Date.now() / 1000;
  const visit = (path: string): void => {
    const found = lstatSync(path);
    if (found.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    const changed = settledTime(found.mtimeMs / 1000, { epoch, since, now });
    if (changed === found.mtimeMs / 1000) return;
    if (found.isSymbolicLink()) lutimesSync(path, epoch, changed);
    else utimesSync(path, epoch, changed);
  };
  visit(tree);
}

/** What a filesystem takes for changes beyond what it holds. What goes is not counted: its room is free only afterwards. */
export function usageOfChanges(changes: readonly Change[]): TreeUsage {
  const sizes = changes.map((change) => (change.do === "write" ? Math.ceil(change.size / block) * block : 0));
  return {
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    inodes: changes.filter(({ do: what }) => what !== "set").length,
  };
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
