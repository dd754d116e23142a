import { mkdir, open, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { DiskPartition, partitionPath } from "../../disks/target.ts";
import { verityBytes, verityFormat } from "../../disks/verity.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

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
export const makeVerity = defineStep({
  kind: "make-verity",
  summary: "write the digests of a root that is verified",
  schema: VerityPlan,
  tools: ["veritysetup"],
  run: async ({ data, tree, uuid, salt, file }, { log, machine, tool }) => {
    const { sizeBytes: dataBytes } = data;
    if (tree.sizeBytes < verityBytes(dataBytes))
      throw new Fail(
        `the digests of the root take ${verityBytes(dataBytes)} bytes; their partition has ${tree.sizeBytes}`,
      );
    const [from, to] = [await partitionPath(data, machine), await partitionPath(tree, machine)];
    const { stdout } = await tool(verityFormat({ dataBytes, uuid, salt }, from, to), { timeoutMs });
    const root = /^Root hash:\s+([0-9a-f]{64})$/m.exec(stdout)?.[1];
    if (root === undefined) throw new Fail(`veritysetup names no root hash:\n${stdout.trim()}`);
    const written = await open(to, "r+");
    await written.sync().finally(() => written.close());
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, `${root}\n`);
    log.info(`root hash ${root}`);
  },
});

/** What speaks against the root hash, after a look at every block; undefined when nothing does. */
export async function verityProblem(
  { data, tree }: VerityPlan,
  rootHash: string,
  { machine, tool }: Pick<StepContext, "machine" | "tool">,
): Promise<string | undefined> {
  const [from, to] = [await partitionPath(data, machine), await partitionPath(tree, machine)];
  const verify = ["veritysetup", "verify", from, to, rootHash];
  const { code, stderr } = await tool(verify, { accept: [0, 1, 2], timeoutMs });
  return code === 0 ? undefined : stderr.trim();
}
