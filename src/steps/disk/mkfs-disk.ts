import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { fixedTimeEnv, mke2fs, mkfsVfat } from "../../disks/filesystem/mkfs.ts";
import { defineStep } from "../step/step.ts";

const timeoutMs = 3_600_000;

/** An ext4 on a device of the plan. */
export const mkfsExt4 = defineStep({
  kind: "mkfs-ext4",
  summary: "make an ext4 filesystem",
  schema: z.strictObject({
    device: DeviceRef,
    uuid: z.string(),
    hashSeed: z.string(),
    label: z.string().optional(),
  }),
  tools: ["mke2fs"],
  run: async ({ device, ...ext4 }, context) => {
    await context.tool(mke2fs((await openDevice(device, context.machine)).path, ext4), { timeoutMs });
  },
});

/** A FAT32 on a device of the plan. */
export const mkfsVfatDisk = defineStep({
  kind: "mkfs-vfat",
  summary: "make a FAT filesystem",
  schema: z.strictObject({
    device: DeviceRef,
    volumeId: z.string(),
    label: z.string().optional(),
    epoch: z.int().positive(),
  }),
  tools: ["mkfs.vfat"],
  run: async ({ device, epoch, ...vfat }, context) => {
    const { path, ...at } = await openDevice(device, context.machine);
    await context.tool(mkfsVfat(path, at, vfat), { timeoutMs, env: fixedTimeEnv(epoch) });
  },
});
