import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { DiskPartition, partitionPath } from "../../disks/target.ts";
import { verityBlock, verityBytes, verityFormat } from "../../disks/verity.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions, device } from "../step/actions.ts";
import type { Word } from "../step/step.ts";

/** All of the root is read. */
const timeoutMs = 6 * 3_600_000;

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
export const makeVerity = defineActions({
  kind: "make-verity",
  schema: VerityPlan,
  actions: (plan) => {
    const { data, tree, uuid, salt, file } = plan;
    const { sizeBytes: dataBytes } = data;
    let root = "";
    return [
      {
        does: "see that there is room for the digests",
        run: () => refuseTooSmall(dataBytes, tree.sizeBytes),
      },
      {
        argv: verityFormat<Word>(
          { dataBytes, uuid, salt },
          device({ partition: data }),
          device({ partition: tree }),
        ),
        options: { timeoutMs },
        read: ({ stdout }) => {
          root = rootHashIn(stdout);
        },
      },
      {
        does: `write all of it to the disk, and the root hash to ${file}`,
        run: async ({ machine, log }) => {
          const written = await open(await partitionPath(tree, machine), "r+");
          await written.sync().finally(() => written.close());
          await mkdir(dirname(file), { recursive: true, mode: 0o700 });
          await writeFile(file, `${root}\n`);
          await writeFile(sealFile(plan), await sealOf(plan, machine));
          log.info(`root hash ${root}`);
        },
      },
    ];
  },
});

function refuseTooSmall(dataBytes: number, treeBytes: number): void {
  if (treeBytes < verityBytes(dataBytes))
    throw new Fail(
      `the digests of the root take ${verityBytes(dataBytes)} bytes; their partition has ${treeBytes}`,
    );
}

function rootHashIn(printed: string): string {
  const root = /^Root hash:\s+([0-9a-f]{64})$/m.exec(printed)?.[1];
  if (root === undefined) throw new Fail(`veritysetup names no root hash:\n${printed.trim()}`);
  return root;
}

/** What has changed since; undefined when nothing has. The kernel looks at each block when it is read. */
export async function verityProblem(plan: VerityPlan, machine: MachinePaths): Promise<string | undefined> {
  const seal = await readFile(sealFile(plan), "utf8");
  return (await sealOf(plan, machine)) === seal ? undefined : "it has changed since its digests were made";
}

function sealFile({ file }: VerityPlan): string {
  return `${file}.seal`;
}

/**
 * A digest of what must stay: root hash, digests, and the first block of the filesystem, which a mount that writes changes. A mounted
 * filesystem would fail `veritysetup verify`: ext4 fills in bitmaps in memory, which a read of the device shows.
 */
async function sealOf({ data, tree, file }: VerityPlan, machine: MachinePaths): Promise<string> {
  const hash = createHash("sha256").update(await readFile(file));
  for (const [part, bytes] of [
    [data, verityBlock],
    [tree, verityBytes(data.sizeBytes)],
  ] as const)
    for await (const piece of createReadStream(await partitionPath(part, machine), { end: bytes - 1 }))
      hash.update(piece);
  return hash.digest("hex");
}
