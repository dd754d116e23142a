import { open } from "node:fs/promises";
import { z } from "zod";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import { refuseHostDisks } from "../../disks/guard.ts";
import { defineStep } from "../step/step.ts";

/** A swap area at an offset of an image file, as mkswap makes it. */
export const swapPartitionImage = defineStep({
  kind: "swap-partition-image",
  summary: "make a swap area in an image file",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
    label: z.string().optional(),
  }),
  tools: [],
  run: async ({ image, offsetBytes, sizeBytes, uuid, label }) => {
    await refuseHostDisks(image);
    const file = await open(image, "r+");
    try {
      await file.write(swapHeader(sizeBytes, uuid, label), 0, undefined, offsetBytes);
    } finally {
      await file.close();
    }
  },
});
