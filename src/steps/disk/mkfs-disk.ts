import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { fixedTimeEnv, mke2fs, mkfsVfat, sectorsPerCluster } from "../../disks/filesystem/mkfs.ts";
import { defineActions, device } from "../step/actions.ts";
import type { StepContext } from "../step/step.ts";

const timeoutMs = 3_600_000;

/** An ext4 on a device of the plan. */
export const mkfsExt4 = defineActions({
  kind: "mkfs-ext4",
  schema: z.strictObject({
    device: DeviceRef,
    uuid: z.string(),
    hashSeed: z.string(),
    label: z.string().optional(),
  }),
  actions: ({ device: ref, ...ext4 }) => [{ argv: mke2fs(device(ref), ext4), options: { timeoutMs } }],
});

/** A FAT32 on a device of the plan. */
export const mkfsVfatDisk = defineActions({
  kind: "mkfs-vfat",
  schema: z.strictObject({
    device: DeviceRef,
    volumeId: z.string(),
    label: z.string().optional(),
    epoch: z.int().positive(),
  }),
  actions: ({ device: ref, epoch, ...vfat }) => {
    const sectors = {
      shown: "<sectors per cluster>",
      value: async ({ machine }: StepContext) => {
        const { sizeBytes, sectorSize } = await openDevice(ref, machine);
        return String(sectorsPerCluster(sizeBytes, sectorSize));
      },
    };
    return [{ argv: mkfsVfat(device(ref), sectors, vfat), options: { timeoutMs, env: fixedTimeEnv(epoch) } }];
  },
});
