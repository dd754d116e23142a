import { z } from "zod";
import { fixedTimeEnv, mke2fs, mkfsVfat } from "../storage/mkfs.ts";
import { DiskPartition, partitionPath, writableDisk } from "../storage/target.ts";
import { defineStep } from "./step.ts";

const timeoutMs = 3_600_000;

/** An ext4 on a partition of a disk of the plan. */
export const mkfsExt4 = defineStep({
  kind: "mkfs-ext4",
  summary: "make an ext4 filesystem on a partition",
  schema: z.strictObject({
    partition: DiskPartition,
    uuid: z.string(),
    hashSeed: z.string(),
    label: z.string().optional(),
  }),
  tools: ["mke2fs"],
  run: async ({ partition, ...ext4 }, context) => {
    await context.tool(mke2fs(await partitionPath(partition), ext4), { timeoutMs });
  },
});

/** A FAT32 on a partition of a disk of the plan. */
export const mkfsVfatDisk = defineStep({
  kind: "mkfs-vfat",
  summary: "make a FAT filesystem on a partition",
  schema: z.strictObject({
    partition: DiskPartition,
    volumeId: z.string(),
    label: z.string().optional(),
    epoch: z.int().positive(),
  }),
  tools: ["mkfs.vfat"],
  run: async ({ partition, epoch, ...vfat }, context) => {
    const { sectorSize } = await writableDisk(partition.disk);
    const at = { sizeBytes: partition.sizeBytes, sectorSize };
    await context.tool(mkfsVfat(await partitionPath(partition), at, vfat), {
      timeoutMs,
      env: fixedTimeEnv(epoch),
    });
  },
});
