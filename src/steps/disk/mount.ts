import { open, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { DeviceRef } from "../../disks/device.ts";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import { type MountEntry, mountedAt, parseMountinfo } from "../../disks/mountinfo.ts";
import { targetRoot } from "../../schema/plan.ts";
import { filesystems, filesystemTypes } from "../../tables/filesystem/filesystems.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions, device, inTree, joined } from "../step/actions.ts";
import type { LateWord, StepContext } from "../step/step.ts";

/** Flushing what a build has written to a slow disk. */
const flushMs = 1_800_000;

/** Mounts a fresh filesystem where the tree is made; harmless where it is mounted already. */
export const mountDevice = defineActions({
  kind: "mount",
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
  actions: ({ device: first, others, type, path, options }) => {
    const { buildOptions, firmware } = filesystems[type];
    const members = others.map((other) => joined(["device=", device(other)]));
    const words = joined([...buildOptions, ...(firmware ? [] : options), ...members], ",");
    return [
      { does: `make the directory ${path}`, run: ({ root }) => Tree.make(root).makeDirectories(path) },
      {
        when: "unless it is mounted",
        holds: async (context) => {
          const where = new Tree(context.root).directory(path);
          const there = mountedAt(await mounts(context), where);
          if (there !== undefined && there.type !== type)
            throw new Fail(`${where} is a mount point already, of ${there.source}`);
          return there === undefined;
        },
        actions: [{ argv: ["mount", "-t", type, "-o", words, device(first), inTree(path)] }],
      },
    ];
  },
});

/** Writes everything out: from the bootloader on a machine that loses power starts the new system, so all of it has to be on the disks. */
export const flushTree = defineActions({
  kind: "flush",
  schema: z.strictObject({
    /** Filesystems of the tree that are mounted for writing. */
    paths: z.array(z.string().startsWith("/")),
  }),
  actions: ({ paths }) =>
    paths.map((path) => ({ argv: ["sync", "-f", inTree(path)], options: { timeoutMs: flushMs } })),
});

/** Writes everything out and unmounts the tree; what does not unmount is a failure, not a surprise at the next start. */
export const unmountTree = defineActions({
  kind: "unmount",
  schema: z.strictObject({
    /** Inside of the tree, the innermost first. */
    paths: z.array(z.string().startsWith("/")),
  }),
  actions: ({ paths }) =>
    paths.map((path) => ({
      when: `if ${path} is mounted`,
      holds: async (context) => {
        const tree = new Tree(context.root);
        if (!tree.find(path)?.isDirectory()) return false;
        return mountedAt(await mounts(context), tree.directory(path)) !== undefined;
      },
      actions: [
        { argv: ["sync", "-f", inTree(path)], options: { timeoutMs: flushMs } },
        { argv: ["umount", inTree(path)], options: { timeoutMs: flushMs } },
      ],
    })),
});

async function mounts({ machine }: StepContext): Promise<MountEntry[]> {
  return parseMountinfo(await readFile(join(machine.proc, "self/mountinfo"), "utf8"));
}

/** A swap file in the mounted tree. */
export const swapFile = defineActions({
  kind: "swap-file",
  schema: z.strictObject({
    path: z.string().startsWith("/"),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
  }),
  actions: ({ path, sizeBytes, uuid }) => {
    const file: LateWord = {
      shown: targetRoot + path,
      value: ({ root }) => join(new Tree(root).directory(dirname(path)), basename(path)),
    };
    return [
      {
        does: `make the file ${path}`,
        run: ({ root }) => {
          const tree = new Tree(root);
          tree.makeDirectories(dirname(path));
          if (tree.stat(path) !== undefined)
            throw new Fail(`${path} is there already, and was to be the swap file`);
          tree.write(path, "", { mode: 0o600 });
        },
      },
      { argv: ["fallocate", "--length", String(sizeBytes), file] },
      {
        does: "write the header of a swap area",
        run: async (context) => await writeHeader(await file.value(context), path, sizeBytes, uuid),
      },
    ];
  },
});

async function writeHeader(to: string, path: string, sizeBytes: number, uuid: string): Promise<void> {
  const file = await open(to, "r+");
  try {
    const { size } = await file.stat();
    if (size !== sizeBytes) throw new Fail(`the swap file ${path} has ${size} bytes instead of ${sizeBytes}`);
    await file.write(swapHeader(sizeBytes, uuid), 0, undefined, 0);
  } finally {
    await file.close();
  }
}
