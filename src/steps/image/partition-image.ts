import { open, rm } from "node:fs/promises";
import { z } from "zod";
import { refuseHostDisks } from "../../disks/guard.ts";
import { defineActions } from "../step/actions.ts";

/** A fresh sparse file with a partition table: the disk of an offline image. */
export const partitionImage = defineActions({
  kind: "partition-image",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    sizeBytes: z.int().positive(),
    /** Complete sfdisk script. */
    script: z.string(),
  }),
  actions: ({ image, sizeBytes, script }) => [
    { does: `make a sparse file of ${sizeBytes} bytes`, run: () => makeSparse(image, sizeBytes) },
    {
      argv: [
        ...["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "always"],
        ...["--wipe-partitions", "always", image],
      ],
      options: { stdin: script },
    },
  ],
});

/** What is at that path may be a device or a link to one; only a regular file is replaced. */
async function makeSparse(image: string, sizeBytes: number): Promise<void> {
  const exists = await open(image, "r").then(
    (file) => file.close().then(() => true),
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
  if (exists) {
    await refuseHostDisks(image, "/nonexistent");
    await rm(image);
  }
  const file = await open(image, "wx", 0o644);
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}
