import type { Stats } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { fixedTimeEnv, mke2fsInto } from "../../disks/filesystem/mkfs.ts";
import { refuseOverfull, settleTree } from "../../disks/filesystem/tree-usage.ts";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import { defineActions } from "../step/actions.ts";
import { onlyFile } from "./only-file.ts";

/** Copying a few GiB on a slow disk. */
const timeoutMs = 3_600_000;

/** An ext4 at an offset of an image file, filled from a directory, without mounting anything. */
export const mkfsExt4Image = defineActions({
  kind: "mkfs-ext4-image",
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
  actions: (input) => {
    const { image, offsetBytes, sizeBytes, directory, mount, without, reservedBytes, epoch, ...ext4 } = input;
    const aside: Aside[] = [];
    return [
      onlyFile(image),
      {
        does: `see that the files of ${directory} fit, and give them times that do not depend on now`,
        run: ({ root, began }) => {
          for (const path of [directory, ...without]) refuseLinks(root, path);
          refuseOverfull(settleTree(directory, epoch, without, began), sizeBytes, reservedBytes, mount);
        },
      },
      {
        does: "hold aside what is on other filesystems",
        run: ({ root }) => moveAside(root, directory, without, aside),
        undo: { does: "put it back", run: ({ root }) => putBack(root, aside) },
      },
      {
        long: true,
        argv: mke2fsInto(image, { offsetBytes, sizeBytes }, directory, ext4),
        options: {
          env: fixedTimeEnv(epoch),
          timeoutMs,
          hint: `the filesystem for ${mount} has ${sizeBytes} bytes; make the partition larger if it was too small`,
        },
      },
    ];
  },
});

/** Their directory, made where it is missing. mke2fs would follow a link there, and copy what it leads to on this machine. */
function refuseLinks(root: string, directory: string): void {
  const tree = new Tree(root);
  const path = join("/", relative(root, directory));
  tree.makeDirectories(path);
  if (tree.real(path) !== path) throw isLink(path);
}

interface Aside {
  readonly path: string;
  readonly to: string;
  /** As the directory above it was. */
  readonly parent: Stats;
}

/** mke2fs knows no exclusions: what belongs to another filesystem steps aside meanwhile, and its directory stays empty. */
function moveAside(root: string, directory: string, paths: readonly string[], aside: Aside[]): void {
  // Aside is beside the directory, which may be the whole tree.
  const above = new Tree(dirname(root));
  const below = (path: string) => join("/", relative(above.root, path));
  for (const path of paths.map(below)) {
    if (above.list(path).length === 0) continue;
    const own = above.stat(path)!;
    const parent = above.stat(dirname(path))!;
    const to = `${below(directory)}.aside-${aside.length}`;
    above.rename(path, to);
    aside.push({ path, to, parent });
    above.makeDirectories(path);
    above.chmod(path, own.mode & 0o7777);
    above.utimes(path, own.atime, own.mtime);
    above.utimes(dirname(path), parent.atime, parent.mtime);
  }
}

function putBack(root: string, aside: Aside[]): void {
  const above = new Tree(dirname(root));
  for (const { path, to, parent } of aside.splice(0).reverse()) {
    above.remove(path);
    above.rename(to, path);
    above.utimes(dirname(path), parent.atime, parent.mtime);
  }
}
