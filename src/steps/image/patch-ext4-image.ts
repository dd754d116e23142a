import { z } from "zod";
import { debugfsScript } from "../../disks/filesystem/debugfs.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { Change } from "../../disks/filesystem/tree-delta.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions } from "../step/actions.ts";
import { onlyFile } from "./only-file.ts";

const timeoutMs = 3_600_000;

/**
 * Makes an ext4 in an image, which holds one tree, hold another that differs little, by debugfs: writing a few files takes a
 * hundredth of the time of writing all.
 */
export const patchExt4Image = defineActions({
  kind: "patch-ext4-image",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    /** As the filesystem sees them. */
    changes: z.array(Change),
    mount: z.string().startsWith("/"),
    epoch: z.int().positive(),
  }),
  actions: ({ image, offsetBytes, changes, mount, epoch }) => [
    onlyFile(image),
    {
      argv: ["debugfs", "-w", "-f", "-", `${image}?offset=${offsetBytes}`],
      options: { stdin: debugfsScript(changes, epoch), env: fixedTimeEnv(epoch), timeoutMs },
      long: true,
      // debugfs exits 0 even if its commands failed; it says its version there, and nothing else when all is well.
      read: ({ stderr }) => {
        const words = stderr.replace(/^debugfs \d.*\n/, "").trim();
        if (words !== "")
          throw new Fail(`debugfs could not change the filesystem for ${mount}:\n${words.slice(0, 2_000)}`, {
            hint: "the filesystem may be full; make the partition or `imageSize` larger",
          });
      },
    },
  ],
});
