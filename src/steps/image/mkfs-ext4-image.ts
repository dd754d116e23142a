import type { Stats } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { fixedTimeEnv, mke2fsInto } from "../../disks/filesystem/mkfs.ts";
import { refuseOverfull, settleTree } from "../../disks/filesystem/tree-usage.ts";
import { refuseHostDisks } from "../../disks/guard.ts";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import { defineStep } from "../step/step.ts";

/** Copying a few GiB on a slow disk. */
const timeoutMs = 3_600_000;

/** An ext4 at an offset of an image file, filled from a directory, without mounting anything. */
export const mkfsExt4Image = defineStep({
  kind: "mkfs-ext4-image",
  summary: "make an ext4 filesystem with a tree in an image file",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
    hashSeed: z.string(),
    label: z.string().optional(),
    /** The tree, or the directory of the tree on which this filesystem is mounted. */
    directory: z.string().startsWith("/"),
    mount: z.string().startsWith("/"),
    /** Absolute directories below it, the outermost only, on which other filesystems are mounted: empty here. */
    without: z.array(z.string().startsWith("/")),
    /** Bytes to leave free for a swap file. */
    reservedBytes: z.int().min(0),
    epoch: z.int().positive(),
  }),
  tools: ["mke2fs"],
  run: async (
    { image, offsetBytes, sizeBytes, directory, mount, without, reservedBytes, epoch, ...ext4 },
    context,
  ) => {
    await refuseHostDisks(image);
    for (const path of [directory, ...without]) refuseLinks(context.root, path);
    refuseOverfull(settleTree(directory, epoch, without, context.began), sizeBytes, reservedBytes, mount);
    await withEmptied(context.root, directory, without, async () => {
      await context.tool(mke2fsInto(image, { offsetBytes, sizeBytes }, directory, ext4), {
        env: fixedTimeEnv(epoch),
        timeoutMs,
        signal: context.signal,
        hint: `the filesystem for ${mount} has ${sizeBytes} bytes; make the partition larger if it was too small`,
      });
    });
  },
});

/** Their directory, made where it is missing. mke2fs would follow a link there, and copy what it leads to on this machine. */
function refuseLinks(root: string, directory: string): void {
  const tree = new Tree(root);
  const path = join("/", relative(root, directory));
  tree.makeDirectories(path);
  if (tree.real(path) !== path) throw isLink(path);
}

/** mke2fs knows no exclusions: what belongs to another filesystem steps aside meanwhile, and its directory stays empty. */
async function withEmptied(
  root: string,
  directory: string,
  paths: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  // Aside is beside the directory, which may be the whole tree.
  const above = new Tree(dirname(root));
  const below = (path: string) => join("/", relative(above.root, path));
  const moved: { path: string; aside: string; parent: Stats }[] = [];
  try {
    for (const path of paths.map(below)) {
      if (above.list(path).length === 0) continue;
      const own = above.stat(path)!;
      const parent = above.stat(dirname(path))!;
      const aside = `${below(directory)}.aside-${moved.length}`;
      above.rename(path, aside);
      moved.push({ path, aside, parent });
      above.makeDirectories(path);
      above.chmod(path, own.mode & 0o7777);
      above.utimes(path, own.atime, own.mtime);
      above.utimes(dirname(path), parent.atime, parent.mtime);
    }
    await work();
  } finally {
    for (const { path, aside, parent } of moved.reverse()) {
      above.remove(path);
      above.rename(aside, path);
      above.utimes(dirname(path), parent.atime, parent.mtime);
    }
  }
}
