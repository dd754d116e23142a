import { dirname, join } from "node:path";
import { z } from "zod";
import { fixedTimeEnv, mkfsVfatInto } from "../../disks/filesystem/mkfs.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions } from "../step/actions.ts";
import type { StepContext } from "../step/step.ts";
import { onlyFile } from "./only-file.ts";

/** A FAT32 at an offset of an image file, filled from a directory by mtools. */
export const mkfsVfatImage = defineActions({
  kind: "mkfs-vfat-image",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    volumeId: z.string(),
    label: z.string().optional(),
    /** What the filesystem holds. */
    directory: z.string().startsWith("/"),
    /** The same filesystem's mount point in the tree: anything there would be hidden by the mount. */
    mountPoint: z.string().startsWith("/"),
    epoch: z.int().positive(),
  }),
  actions: ({ image, offsetBytes, sizeBytes, directory, mountPoint, epoch, ...vfat }) => {
    const env = fixedTimeEnv(epoch);
    return [
      onlyFile(image),
      {
        does: `see that the files of ${directory} fit`,
        run: ({ root }) => refuseContents(root, { directory, mountPoint, sizeBytes }),
      },
      { argv: mkfsVfatInto(image, { offsetBytes, sizeBytes }, vfat), options: { env } },
      {
        does: "copy them into it, by mmd and mcopy",
        run: (context) => fill(context, `${image}@@${offsetBytes}`, directory, env),
      },
    ];
  },
});

function refuseContents(
  root: string,
  about: { readonly directory: string; readonly mountPoint: string; readonly sizeBytes: number },
): void {
  const { directory, mountPoint, sizeBytes } = about;
  const hidden = Tree.within(root, mountPoint).list("/");
  if (hidden.length > 0)
    throw new Fail(
      `${mountPoint} has files (${hidden.slice(0, 3).join(", ")}) that a boot partition would hide`,
      {
        hint: "it is filled by the bootloader's steps; keep other files out of there",
      },
    );
  const bytes = contentsOf(new Tree(directory), "").reduce((sum, { size }) => sum + size, 0);
  if (bytes > sizeBytes * 0.98)
    throw new Fail(`the bootloader's files take ${bytes} bytes, but their partition has only ${sizeBytes}`, {
      hint: "make the ESP, or the extended boot loader partition, larger",
    });
}

interface Entry {
  /** Relative, without a leading slash. */
  readonly path: string;
  readonly size: number;
  readonly directory: boolean;
}

/** Sorted, parents first: the order on disk must not depend on the source's filesystem. */
function contentsOf(tree: Tree, below: string): Entry[] {
  const entries: Entry[] = [];
  for (const name of tree.list(below).sort()) {
    const path = join(below, name);
    const found = tree.stat(path)!;
    if (!found.isDirectory() && !found.isFile())
      throw new Fail(`${path} is neither a file nor a directory, and FAT knows nothing else`);
    entries.push({ path, size: found.isFile() ? found.size : 0, directory: found.isDirectory() });
    if (found.isDirectory()) entries.push(...contentsOf(tree, path));
  }
  return entries;
}

async function fill(
  context: StepContext,
  drive: string,
  from: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const contents = contentsOf(new Tree(from), "");
  // mtools reads `::` as the drive given by -i, and never asks with -o and -D. A start of it takes longer than its work.
  const directories = contents.filter(({ directory }) => directory).map(({ path }) => path);
  if (directories.length > 0)
    await context.tool(["mmd", "-i", drive, "-D", "s", ...directories.map((path) => `::/${path}`)], { env });
  for (const parent of ["", ...directories]) {
    const files = contents.filter(({ path, directory }) => !directory && inDirectory(path, parent));
    if (files.length === 0) continue;
    const paths = files.map(({ path }) => join(from, path));
    await context.tool(["mcopy", "-i", drive, "-o", ...paths, `::/${parent}`], { env });
  }
}

function inDirectory(path: string, directory: string): boolean {
  return (dirname(path) === "." ? "" : dirname(path)) === directory;
}
