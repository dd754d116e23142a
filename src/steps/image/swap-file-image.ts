import { rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import { debugfsWord } from "../../disks/filesystem/debugfs.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import { refuseHostDisks } from "../../disks/guard.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

const pageBytes = 4096;

/**
 * A swap file in an ext4 of an image, by debugfs. Only its first page is written; the rest is allocated but unwritten
 * extents, which the kernel's swapon accepts (fs/iomap/swapfile.c) and which keep the image sparse.
 */
export const swapFileImage = defineStep({
  kind: "swap-file-image",
  summary: "make a swap file in a filesystem of an image file",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    path: z.string().regex(/^\/[A-Za-z0-9_.@+/-]+$/),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
    epoch: z.int().positive(),
  }),
  tools: ["debugfs"],
  run: async ({ image, offsetBytes, path, sizeBytes, uuid, epoch }, context) => {
    await refuseHostDisks(image);
    const header = `${image}.swap-header`;
    const filesystem = `${image}?offset=${offsetBytes}`;
    const options = { env: fixedTimeEnv(epoch) };
    const parents = path.split("/").slice(1, -1);
    const script = [
      ...parents.map((_name, index) => `mkdir /${parents.slice(0, index + 1).join("/")}`),
      `write ${debugfsWord(header)} ${path}`,
      `set_inode_field ${path} mode 0100600`,
      `set_inode_field ${path} uid 0`,
      `set_inode_field ${path} gid 0`,
      `fallocate ${path} 1 ${sizeBytes / pageBytes - 1}`,
      `set_inode_field ${path} size ${sizeBytes}`,
      ...["atime", "ctime", "mtime", "crtime"].map((field) => `set_inode_field ${path} ${field} @${epoch}`),
    ];
    await writeFile(header, swapHeader(sizeBytes, uuid), { mode: 0o600 });
    try {
      await context.tool(["debugfs", "-w", "-f", "-", filesystem], {
        ...options,
        stdin: `${script.join("\n")}\n`,
      });
      // debugfs exits 0 whatever its commands did, so what they made is looked at.
      const made = await context.tool(["debugfs", "-R", `stat ${path}`, filesystem], options);
      // A full filesystem leaves holes, which swapon refuses; sectors of 512 bytes are counted, the extents' own included.
      const sectors = Number(/Blockcount:\s+(\d+)/.exec(made.stdout)?.[1] ?? 0);
      const whole = made.stdout.includes(`Size: ${sizeBytes}`) && sectors >= sizeBytes / 512;
      if (!/Mode:\s+0600/.test(made.stdout) || !whole)
        throw new Fail(`debugfs could not make the swap file ${path}\n${made.stdout}${made.stderr}`.trim(), {
          hint: "the filesystem may be full; make the partition or `imageSize` larger",
        });
    } finally {
      await rm(header, { force: true });
    }
  },
});
