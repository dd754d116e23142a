import { open } from "node:fs/promises";
import { z } from "zod";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import { defineActions } from "../step/actions.ts";
import { onlyFile } from "./only-file.ts";

/** A swap area at an offset of an image file, as mkswap makes it. */
export const swapPartitionImage = defineActions({
  kind: "swap-partition-image",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
    label: z.string().optional(),
  }),
  actions: ({ image, offsetBytes, sizeBytes, uuid, label }) => [
    onlyFile(image),
    {
      does: `write the header of a swap area at ${offsetBytes} of ${image}`,
      run: async () => {
        const file = await open(image, "r+");
        try {
          await file.write(swapHeader(sizeBytes, uuid, label), 0, undefined, offsetBytes);
        } finally {
          await file.close();
        }
      },
    },
  ],
});
