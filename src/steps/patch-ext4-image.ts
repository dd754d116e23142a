import { z } from "zod";
import { debugfsScript } from "../storage/debugfs.ts";
import { refuseHostDisks } from "../storage/guard.ts";
import { fixedTimeEnv } from "../storage/mkfs.ts";
import { changesOn, treeDelta } from "../storage/tree-delta.ts";
import { refuseOverfull } from "../storage/tree-usage.ts";
import { Fail } from "../util/fail.ts";
import { defineStep } from "./step.ts";

const timeoutMs = 3_600_000;
const block = 4096;

/**
 * Makes an ext4 in an image, which holds one tree, hold another that differs little, by debugfs: writing a few files takes a
 * hundredth of the time of writing all.
 */
export const patchExt4Image = defineStep({
  kind: "patch-ext4-image",
  summary: "change an ext4 filesystem of an image file to hold another tree",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    /** The tree that it holds, the one that it shall hold, and where an overlay keeps what differs. */
    lower: z.string().startsWith("/"),
    merged: z.string().startsWith("/"),
    upper: z.string().startsWith("/").optional(),
    mount: z.string().startsWith("/"),
    /** Where other filesystems are mounted below it, the outermost only. */
    without: z.array(z.string().startsWith("/")),
    /** What the lower tree takes of it already, and what is to be left free. */
    usedBytes: z.int().min(0),
    usedInodes: z.int().min(0),
    reservedBytes: z.int().min(0),
    epoch: z.int().positive(),
  }),
  tools: ["debugfs"],
  run: async ({ image, offsetBytes, sizeBytes, mount, without, epoch, ...input }, context) => {
    await refuseHostDisks(image);
    const { lower, merged, upper } = input;
    const all = treeDelta(lower, merged, { upper, epoch, since: context.began });
    const changes = changesOn(all, mount, without);
    const added = changes.map((one) => (one.do === "write" ? Math.ceil(one.size / block) * block : 0));
    const bytes = input.usedBytes + added.reduce((sum, size) => sum + size, 0);
    const inodes = input.usedInodes + changes.filter(({ do: what }) => what !== "set").length;
    refuseOverfull({ bytes, inodes }, sizeBytes, input.reservedBytes, mount);
    const { stderr } = await context.tool(["debugfs", "-w", "-f", "-", `${image}?offset=${offsetBytes}`], {
      stdin: debugfsScript(changes, epoch),
      env: fixedTimeEnv(epoch),
      timeoutMs,
      signal: context.signal,
    });
    // debugfs exits 0 whatever its commands did; it says its version there, and nothing else when all is well.
    const words = stderr.replace(/^debugfs \d.*\n/, "").trim();
    if (words !== "")
      throw new Fail(`debugfs could not change the filesystem for ${mount}:\n${words.slice(0, 2_000)}`, {
        hint: "the filesystem may be full; make the partition or `imageSize` larger",
      });
  },
});
