import { lstat, mkdir, rmdir } from "node:fs/promises";
import { z } from "zod";
import { DeviceRef } from "../../disks/device.ts";
import { defineActions, device, inMemory, joined } from "../step/actions.ts";
import type { StepContext } from "../step/step.ts";

const options = { timeoutMs: 600_000 };
const place = "btrfs-subvolumes";

/** Subvolumes of a btrfs; of one that is kept, those that are made anew go first. */
export const btrfsSubvolumes = defineActions({
  kind: "btrfs-subvolumes",
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
  actions: ({ device: first, others, names }) => {
    const where = inMemory(place);
    const members = others.map((other) => joined(["device=", device(other)]));
    return [
      {
        does: `make the directory ${where.shown}`,
        run: async (context) => await mkdir(await where.value(context), { recursive: true }),
        undo: { does: "remove it", run: async (context) => await rmdir(await where.value(context)) },
      },
      {
        argv: ["mount", "-t", "btrfs", "-o", joined(["subvolid=5", ...members], ","), device(first), where],
        options,
        undo: { argv: ["umount", where], options },
      },
      ...names.flatMap((name) => {
        const path = inMemory(`${place}/${name}`);
        return [
          {
            when: `if ${name} is there`,
            holds: async (context: StepContext) =>
              (await lstat(await path.value(context)).catch(() => undefined)) !== undefined,
            actions: [
              { argv: ["btrfs", "subvolume", "delete", "--recursive", "--commit-after", path], options },
            ],
          },
          { argv: ["btrfs", "subvolume", "create", path], options },
        ];
      }),
    ];
  },
});
