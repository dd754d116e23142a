import { open, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import { type MountEntry, mountedAt, parseMountinfo } from "../../disks/mountinfo.ts";
import { filesystems, filesystemTypes } from "../../schema/filesystem/filesystems.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

/** Flushing what a build has written to a slow disk. */
const flushMs = 1_800_000;

/** Mounts a fresh filesystem where the tree is made; harmless where it is mounted already. */
export const mountDevice = defineStep({
  kind: "mount",
  summary: "mount a filesystem into the tree",
  schema: z.strictObject({
    device: DeviceRef,
    /** The other members of a btrfs. */
    others: z.array(DeviceRef).default([]),
    type: z.enum(filesystemTypes),
    /** Inside of the tree; "/" is the tree itself. */
    path: z.string().startsWith("/"),
    /** Those that decide what is written, and how: `subvol=`, `compress=`. */
    options: z.array(z.string()).default([]),
  }),
  tools: ["mount"],
  run: async ({ device, others, type, path, options }, context) => {
    const where = placeOf(Tree.make(context.root), path);
    const source = (await openDevice(device, context.machine)).path;
    const there = mountedAt(await mounts(context), where);
    if (there !== undefined) {
      if (there.type !== type) throw new Fail(`${where} is a mount point already, of ${there.source}`);
      return;
    }
    const { buildOptions, firmware } = filesystems[type];
    const words = firmware ? [...buildOptions] : [...buildOptions, ...options];
    for (const one of others) words.push(`device=${(await openDevice(one, context.machine)).path}`);
    await context.tool(["mount", "-t", type, "-o", words.join(","), source, where]);
  },
});

/** Writes everything out and unmounts the tree; what does not unmount is a failure, not a surprise at the next start. */
export const unmountTree = defineStep({
  kind: "unmount",
  summary: "flush and unmount the tree",
  schema: z.strictObject({
    /** Inside of the tree, the innermost first. */
    paths: z.array(z.string().startsWith("/")),
  }),
  tools: ["umount", "sync"],
  run: async ({ paths }, context) => {
    for (const path of paths) {
      const tree = new Tree(context.root);
      if (!tree.find(path)?.isDirectory()) continue;
      const where = tree.directory(path);
      if (mountedAt(await mounts(context), where) === undefined) continue;
      await context.tool(["sync", "-f", where], { timeoutMs: flushMs });
      await context.tool(["umount", where], { timeoutMs: flushMs });
    }
  },
});

/** The directory outside for a path of the tree. A mount upon a link would be upon what it leads to here. */
function placeOf(tree: Tree, path: string): string {
  tree.makeDirectories(path);
  return tree.directory(path);
}

async function mounts({ machine }: StepContext): Promise<MountEntry[]> {
  return parseMountinfo(await readFile(join(machine.proc, "self/mountinfo"), "utf8"));
}

/** A swap file in the mounted tree. */
export const swapFile = defineStep({
  kind: "swap-file",
  summary: "make a swap file",
  schema: z.strictObject({
    path: z.string().startsWith("/"),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
  }),
  tools: ["fallocate"],
  run: async ({ path, sizeBytes, uuid }, context) => {
    const tree = new Tree(context.root);
    tree.makeDirectories(dirname(path));
    if (tree.stat(path) !== undefined)
      throw new Fail(`${path} is there already, and was to be the swap file`);
    tree.write(path, "", { mode: 0o600 });
    const to = join(tree.directory(dirname(path)), basename(path));
    await context.tool(["fallocate", "--length", String(sizeBytes), to]);
    const file = await open(to, "r+");
    try {
      const { size } = await file.stat();
      if (size !== sizeBytes)
        throw new Fail(`the swap file ${path} has ${size} bytes instead of ${sizeBytes}`);
      await file.write(swapHeader(sizeBytes, uuid), 0, undefined, 0);
    } finally {
      await file.close();
    }
  },
});
