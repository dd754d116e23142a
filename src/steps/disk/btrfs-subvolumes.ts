import { lstat, mkdir, mkdtemp, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { defineStep } from "../step/step.ts";

const timeoutMs = 600_000;

/** Subvolumes of a btrfs; of one that is kept, those that are made anew go first. */
export const btrfsSubvolumes = defineStep({
  kind: "btrfs-subvolumes",
  summary: "make the subvolumes of a btrfs",
  schema: z.strictObject({
    device: DeviceRef,
    /** The filesystem's other members. */
    others: z.array(DeviceRef).default([]),
    names: z.array(
      z
        .string()
        .min(1)
        .regex(/^(?!\.{1,2}$)@?[A-Za-z0-9_.-]*$/),
    ),
  }),
  tools: ["mount", "umount", "btrfs"],
  run: async ({ device, others, names }, context) => {
    const options = ["subvolid=5"];
    for (const one of others) options.push(`device=${(await openDevice(one, context.machine)).path}`);
    const parent = join(context.machine.run, "imgbuild");
    await mkdir(parent, { recursive: true });
    const where = await mkdtemp(join(parent, "btrfs-"));
    const source = (await openDevice(device, context.machine)).path;
    await context.tool(["mount", "-t", "btrfs", "-o", options.join(","), source, where], { timeoutMs });
    try {
      for (const name of names) {
        const path = join(where, name);
        const there = await lstat(path).catch(() => undefined);
        if (there !== undefined)
          await context.tool(["btrfs", "subvolume", "delete", "--recursive", "--commit-after", path], {
            timeoutMs,
          });
        await context.tool(["btrfs", "subvolume", "create", path], { timeoutMs });
      }
    } finally {
      await context.tool(["umount", where], { timeoutMs });
      await rmdir(where);
    }
  },
});
