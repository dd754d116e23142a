import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { DiskPartition, partitionPath } from "../../disks/target.ts";
import { type Bytes, type Verity, verityBlock, verityBytes, writeVerity } from "../../disks/verity.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

/** A verified root as plans name it. */
export const VerityPlan = z.strictObject({
  data: DiskPartition,
  tree: DiskPartition,
  uuid: z.string(),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  /** Where the root hash is handed on to the steps that come after: a file in memory. */
  file: z.string().startsWith("/"),
});
export type VerityPlan = z.output<typeof VerityPlan>;

/** Writes the digests of a filesystem that is whole and not mounted. From then on not a byte of it may change. */
export const makeVerity = defineStep({
  kind: "make-verity",
  summary: "write the digests of a root that is verified",
  schema: VerityPlan,
  tools: [],
  run: async (plan, { log, machine }) => {
    const { data, tree, file } = plan;
    if (tree.sizeBytes < verityBytes(data.sizeBytes))
      throw new Fail(
        `the digests of the root take ${verityBytes(data.sizeBytes)} bytes; their partition has ${tree.sizeBytes}`,
      );
    const root = await withBoth(plan, machine, "r+", (from, to) => writeVerity(verityOf(plan), from, to));
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, `${root}\n`);
    log.info(`root hash ${root}`);
  },
});

/** What the superblock says. */
export function verityOf({ data, uuid, salt }: VerityPlan): Verity {
  return { dataBlocks: Math.floor(data.sizeBytes / verityBlock), uuid, salt };
}

/** Data and digests on their disks. */
export async function withBoth<T>(
  { data, tree }: VerityPlan,
  machine: MachinePaths,
  mode: "r" | "r+",
  work: (data: Bytes, tree: Bytes) => Promise<T>,
): Promise<T> {
  const from = await open(await partitionPath(data, machine), "r");
  try {
    const to = await open(await partitionPath(tree, machine), mode);
    try {
      const result = await work(bytesOf(from), bytesOf(to));
      if (mode === "r+") await to.sync();
      return result;
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

function bytesOf(handle: FileHandle): Bytes {
  return {
    read: async (at, length) => {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, at);
      if (bytesRead !== length) throw new Fail(`only ${bytesRead} of ${length} bytes could be read at ${at}`);
      return buffer;
    },
    write: async (at, bytes) => {
      const { bytesWritten } = await handle.write(bytes, 0, bytes.length, at);
      if (bytesWritten !== bytes.length)
        throw new Fail(`only ${bytesWritten} of ${bytes.length} bytes could be written at ${at}`);
    },
  };
}
