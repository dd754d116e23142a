import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verityBytes } from "../../src/disks/verity.ts";
import { makeVerity, verityProblem } from "../../src/steps/boot/make-verity.ts";
import { run } from "../../src/system/run/run.ts";
import { fakeMachine } from "../helpers/fakes/fake-machine.ts";
import { stepBench } from "../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;

/** A root on a file in the place of a partition, blocks of which each has another byte, and its digests. */
async function made(blocks: number) {
  const machine = fakeMachine();
  const parts = [
    { number: 1, startBytes: mib, sizeBytes: blocks * 4096 },
    { number: 2, startBytes: 128 * mib, sizeBytes: verityBytes(blocks * 4096) },
  ] as const;
  const disk = machine.disk("vda", 256 * mib, parts);
  const [data, tree] = [1, 2].map((number) => join(machine.machine.dev, `vda${number}`)) as [string, string];
  writeFileSync(data, Buffer.concat(Array.from({ length: blocks }, (_, at) => Buffer.alloc(4096, at % 251))));
  const plan = {
    ...{ data: machine.part(disk, parts[0]), tree: machine.part(disk, parts[1]) },
    ...{
      uuid: "01234567-89ab-cdef-0123-456789abcdef",
      salt: "ab".repeat(32),
      file: join(machine.dir, "hash"),
    },
  };
  const { context } = stepBench({ machine: machine.machine, context: { tool: run } });
  await makeVerity.run(plan, context);
  const hash = readFileSync(plan.file, "utf8").trim();
  return { data, tree, hash, problem: async () => await verityProblem(plan, machine.machine) };
}

describe("a root with verity", () => {
  // Trees of one, two and three levels: what a plan names gives these bytes, whoever makes them.
  it.each([
    [
      128,
      "e80eab6ef027bcf3d0545a7ce3813aa4d773133efcfb2ec79e5d07165bea255b",
      "cd26b3d2b947e4133e4ea8274704aff3ef4ae9fb296dc6067c98ef811d941e77",
    ],
    [
      130,
      "335bf5cb0e559e3421706446a60802e91b3695826246ba3feed24af708c3cb76",
      "db5f02ffa46f5e36cbbd9777e3d05e60ade7a4c3e023c4438d7eaa9db83cda9b",
    ],
    [
      16500,
      "fdb3855631c32705608995c7ad18456fb574fd0750d5d537298922513b753eaf",
      "2101f013c41d97be0fd0012792cd37b5b5849072e08a1180359f95cb8417eda0",
    ],
  ])(
    "of %i blocks has the same digests everywhere, which fill their partition",
    async (blocks, root, sha256) => {
      const { tree, hash, problem } = await made(blocks);
      expect(hash).toBe(root);
      const bytes = readFileSync(tree);
      expect(bytes.length).toBe(verityBytes(blocks * 4096));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
      expect(await problem()).toBeUndefined();
    },
  );

  it("opens by its root hash and no other", async () => {
    const { data, tree, hash } = await made(130);
    await run(["veritysetup", "verify", data, tree, hash]);
    await expect(run(["veritysetup", "verify", data, tree, "00".repeat(32)])).rejects.toThrow(
      "root hash failed",
    );
  });
});
