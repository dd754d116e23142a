import { join } from "node:path";
import { z } from "zod";
import { DiskIdentity, findDisk, type MachinePaths } from "../../disks/find-disk.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

/** A few GiB, written by an emulated machine. */
const timeoutMs = 2 * 3_600_000;
/** What tar reads at a time, in its blocks of 512 bytes: a system call of an emulated machine is dear. */
const blockingFactor = 2_048;
const tellEvery = 16;
const mib = 2 ** 20;

/**
 * A tar archive: the content of a disk of its own, or a file, which may be compressed and of which `sizeBytes` is that of its content. A
 * plan is made before a tree that is shipped, so that one's size is filled in where it runs.
 */
const Archive = z.union([
  DiskIdentity,
  z.strictObject({ file: z.string().startsWith("/"), sizeBytes: z.int().positive().optional() }),
]);

/** Fills the mounted tree from an archive, which is only read. */
export const unpackTree = defineStep({
  kind: "unpack-tree",
  summary: "fill the tree from an archive",
  schema: z.strictObject({ archive: Archive }),
  run: async ({ archive }, context) => {
    Tree.make(context.root);
    const { sizeBytes } = archive;
    const total = sizeBytes === undefined ? undefined : Math.ceil(sizeBytes / mib);
    const unpacked = context.tool(unpackArgv(await fileOf(archive, context.machine), context.root), {
      timeoutMs,
      signal: context.signal,
      onLine: (line) => {
        const records = /^tar: (\d+)$/.exec(line)?.[1];
        if (records === undefined) return;
        const done = Math.floor((Number(records) * blockingFactor * 512) / mib);
        if (total !== undefined) context.log.progress(Math.min(total, done), total, "MiB");
      },
    });
    await unpacked.catch((error: unknown) => {
      if (!/No space left on device/.test(messageOf(error))) throw error;
      throw new Fail(
        `the tree${total === undefined ? "" : `, of ${total} MiB,`} does not fit into its filesystems`,
        {
          cause: error,
          hint: "make the partition or `imageSize` larger",
        },
      );
    });
  },
});

async function fileOf(archive: z.output<typeof Archive>, machine: MachinePaths): Promise<string> {
  if ("file" in archive) return archive.file;
  return join(machine.dev, (await findDisk(archive, machine)).kernelName);
}

/** Owners, modes, times, links and extended attributes as they were. */
export function unpackArgv(device: string, into: string): string[] {
  return [
    ...["tar", "--extract", "--file", device, `--blocking-factor=${blockingFactor}`, "--directory", into],
    ...["--numeric-owner", "--same-owner", "--preserve-permissions", "--xattrs", "--xattrs-include=*"],
    ...[`--checkpoint=${tellEvery}`, "--checkpoint-action=echo=%u"],
  ];
}

/** The archive of a tree: the same for the same tree, whose times are none later than `epoch`. */
export function packArgv(tree: string, file: string, epoch: number): string[] {
  return [
    ...["tar", "--create", "--file", file, `--blocking-factor=${blockingFactor}`, "--directory", tree],
    ...["--sort=name", "--format=posix", "--numeric-owner", "--one-file-system", "--xattrs"],
    ...["--xattrs-include=*", `--mtime=@${epoch}`, "--clamp-mtime"],
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    ".",
  ];
}
