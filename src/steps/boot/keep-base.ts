import { createReadStream, createWriteStream } from "node:fs";
import { readdir, readFile, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { cpio } from "../../archive/cpio.ts";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

const squashfsName = "base.squashfs";
/** Must stay free on the new root filesystem. */
const reserveBytes = 256 * 2 ** 20;

export const BaseFile = z.strictObject({ name: z.string(), size: z.int().positive(), sha256: z.string() });
type BaseFile = z.output<typeof BaseFile>;

/**
 * Leaves the running base on the new system, byte for byte as it was shipped, so that the next deploy need not send it.
 * A convenience: when it cannot be, the log says so and the deploy goes on.
 */
export const keepBase = defineStep({
  kind: "keep-base",
  summary: "keep the base for the next deploy",
  schema: z.strictObject({
    directory: z.string().startsWith("/"),
    files: z.array(BaseFile),
  }),
  run: async ({ directory, files }, { root, log, machine }) => {
    const tree = new Tree(root);
    try {
      tree.remove(directory);
      tree.makeDirectories(directory);
      const to = tree.directory(directory);
      const { bavail, bsize } = await statfs(to);
      const needed = files.reduce((sum, { size }) => sum + size, reserveBytes);
      if (bavail * bsize < needed) throw new Fail("the new root filesystem has no room for it");
      await copyRunningBase(files, to, machine);
      for (const { name, sha256 } of files)
        if ((await fileDigest(join(to, name))) !== sha256)
          throw new Fail(`its ${name} is not what was shipped`);
    } catch (error) {
      tree.remove(directory);
      log.warn(`the base is not kept; the next deploy sends it again: ${messageOf(error)}`);
    }
  },
});

/**
 * Writes files of the base that runs here to a directory that has none of them, each flushed; refuses what has not the size of what was
 * shipped.
 */
export async function copyRunningBase(
  files: readonly BaseFile[],
  to: string,
  machine: MachinePaths,
): Promise<void> {
  await copyFiles(files, to, ({ name, size }) => runningBase(machine, name, size));
}

/** The same of the base with which an image is made: it does not run, and is a few files of this computer. */
export async function copyBase(
  files: readonly BaseFile[],
  to: string,
  { base, machine }: Pick<StepContext, "base" | "machine">,
): Promise<void> {
  if (base === undefined) return await copyRunningBase(files, to, machine);
  await copyFiles(files, to, ({ name }) => {
    const path = base[name];
    if (path === undefined) throw new Fail(`the base has no ${name}`);
    return createReadStream(path);
  });
}

async function copyFiles(
  files: readonly BaseFile[],
  to: string,
  open: (file: BaseFile) => Readable | Promise<Readable>,
): Promise<void> {
  for (const one of files) {
    // A new file: what is there under its name may be a link that leads out of the tree.
    const file = createWriteStream(join(to, one.name), { flags: "wx", mode: 0o600, flush: true });
    await pipeline(await open(one), file);
    if (file.bytesWritten !== one.size) throw new Fail(`its ${one.name} is not what was shipped`);
  }
}

/** A file of the base that runs here, as it was shipped: one of the small ones, or the archive of its squashfs, of `size` bytes. */
export async function runningBase(machine: MachinePaths, name: string, size: number): Promise<Readable> {
  // The initramfs left the small ones in RAM.
  if (name !== "squashfs") return createReadStream(join(machine.run, "imgbuild/base", name));
  // The squashfs is what the running root filesystem is mounted from; its archive is rebuilt around it.
  const device = await loopDevice(machine);
  const bytes = await sizeOfDevice(machine, device);
  if (bytes > size) throw new Fail("the squashfs is larger than what was shipped");
  return Readable.from(
    cpio([{ type: "file", name: squashfsName, mode: 0o644, path: join(machine.dev, device), size: bytes }]),
  );
}

async function loopDevice({ sys }: MachinePaths): Promise<string> {
  for (const name of (await readdir(join(sys, "block"))).filter((one) => one.startsWith("loop"))) {
    const file = await readFile(join(sys, "block", name, "loop/backing_file"), "utf8").catch(() => "");
    // The initramfs is emptied when the root is switched; the kernel then says "/base.squashfs (deleted)".
    if (file.includes(squashfsName)) return name;
  }
  throw new Fail("the loop device of the squashfs is not there");
}

async function sizeOfDevice({ sys, dev }: MachinePaths, name: string): Promise<number> {
  await stat(join(dev, name));
  return Number(await readFile(join(sys, "block", name, "size"), "utf8")) * 512;
}
