import { mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { swapHeader } from "../storage/swap-file.ts";
import { DiskPartition, partitionPath } from "../storage/target.ts";
import { Fail } from "../util/fail.ts";
import { defineStep } from "./step.ts";

/** Flushing what a build has written to a slow disk. */
const flushMs = 1_800_000;

/** Mounts a fresh filesystem where the tree is made. */
export const mountPartition = defineStep({
  kind: "mount",
  summary: "mount a filesystem into the tree",
  schema: z.strictObject({
    partition: DiskPartition,
    type: z.enum(["ext4", "vfat"]),
    /** Inside of the tree; "/" is the tree itself. */
    path: z.string().startsWith("/"),
  }),
  tools: ["mount"],
  run: async ({ partition, type, path }, context) => {
    const where = join(context.root, path);
    await mkdir(where, { recursive: true });
    const source = await partitionPath(partition);
    await context.tool([
      "mount",
      "-t",
      type,
      "-o",
      type === "vfat" ? "umask=0077" : "noatime",
      source,
      where,
    ]);
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
      await context.tool(["sync", "-f", join(context.root, path)], { timeoutMs: flushMs });
      await context.tool(["umount", join(context.root, path)], { timeoutMs: flushMs });
    }
  },
});

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
    const to = join(context.root, path);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, "", { mode: 0o600, flag: "wx" });
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
