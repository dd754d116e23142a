import { rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import { debugfsWord } from "../../disks/filesystem/debugfs.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { swapHeader } from "../../disks/filesystem/swap-file.ts";
import type { RunResult } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions } from "../step/actions.ts";
import { onlyFile } from "./only-file.ts";

const pageBytes = 4096;

/**
 * A swap file in an ext4 of an image, by debugfs. Only its first page is written; the rest is allocated but unwritten
 * extents, which the kernel's swapon accepts (fs/iomap/swapfile.c) and which keep the image sparse.
 */
export const swapFileImage = defineActions({
  kind: "swap-file-image",
  schema: z.strictObject({
    image: z.string().startsWith("/"),
    offsetBytes: z.int().positive(),
    path: z.string().regex(/^\/[A-Za-z0-9_.@+/-]+$/),
    sizeBytes: z.int().positive(),
    uuid: z.string(),
    epoch: z.int().positive(),
  }),
  actions: ({ image, offsetBytes, path, sizeBytes, uuid, epoch }) => {
    const header = `${image}.swap-header`;
    const filesystem = `${image}?offset=${offsetBytes}`;
    const env = fixedTimeEnv(epoch);
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
    return [
      onlyFile(image),
      {
        does: `write the header of a swap area to ${header}`,
        run: () => writeFile(header, swapHeader(sizeBytes, uuid), { mode: 0o600 }),
        undo: { does: `remove ${header}`, run: () => rm(header, { force: true }) },
      },
      {
        argv: ["debugfs", "-w", "-f", "-", filesystem],
        options: { env, stdin: `${script.join("\n")}\n` },
      },
      {
        argv: ["debugfs", "-R", `stat ${path}`, filesystem],
        options: { env },
        read: (result) => refuseHoles(result, path, sizeBytes),
      },
    ];
  },
});

/** debugfs exits 0 even if its commands failed, so what they made is looked at. */
function refuseHoles({ stdout, stderr }: RunResult, path: string, sizeBytes: number): void {
  // A full filesystem leaves holes, which swapon refuses; sectors of 512 bytes are counted, the extents' own included.
  const sectors = Number(/Blockcount:\s+(\d+)/.exec(stdout)?.[1] ?? 0);
  const whole = stdout.includes(`Size: ${sizeBytes}`) && sectors >= sizeBytes / 512;
  if (!/Mode:\s+0600/.test(stdout) || !whole)
    throw new Fail(`debugfs could not make the swap file ${path}\n${stdout}${stderr}`.trim(), {
      hint: "the filesystem may be full; make the partition or `imageSize` larger",
    });
}
