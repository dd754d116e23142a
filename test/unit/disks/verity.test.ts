import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  type Bytes,
  verityBlock,
  verityBytes,
  verityProblem,
  writeVerity,
} from "../../../src/disks/verity.ts";

const about = { uuid: "01234567-89ab-cdef-0123-456789abcdef", salt: "ab".repeat(32) };

/** Blocks of which each has another byte. */
function pattern(blocks: number): Buffer {
  return Buffer.concat(Array.from({ length: blocks }, (_, index) => Buffer.alloc(verityBlock, index % 251)));
}

function bytes(of: Buffer): Bytes {
  return {
    read: async (at, length) => of.subarray(at, at + length),
    write: async (at, written) => void of.set(written, at),
  };
}

async function made(blocks: number) {
  const data = pattern(blocks);
  const tree = Buffer.alloc(verityBytes(data.length));
  const verity = { dataBlocks: blocks, ...about };
  const root = await writeVerity(verity, bytes(data), bytes(tree));
  const problem = () => verityProblem(verity, root, bytes(data), bytes(tree));
  return { data, tree, verity, root, problem };
}

describe("writeVerity", () => {
  // Of `veritysetup format --salt --uuid` (cryptsetup 2.7) on the same data: trees of one, two and three levels.
  it.each([
    [
      128,
      8192,
      "e80eab6ef027bcf3d0545a7ce3813aa4d773133efcfb2ec79e5d07165bea255b",
      "cd26b3d2b947e4133e4ea8274704aff3ef4ae9fb296dc6067c98ef811d941e77",
    ],
    [
      130,
      16384,
      "335bf5cb0e559e3421706446a60802e91b3695826246ba3feed24af708c3cb76",
      "db5f02ffa46f5e36cbbd9777e3d05e60ade7a4c3e023c4438d7eaa9db83cda9b",
    ],
    [
      16500,
      544768,
      "fdb3855631c32705608995c7ad18456fb574fd0750d5d537298922513b753eaf",
      "2101f013c41d97be0fd0012792cd37b5b5849072e08a1180359f95cb8417eda0",
    ],
  ])("makes of %i blocks what veritysetup makes, byte for byte", async (blocks, size, root, sha256) => {
    const one = await made(blocks);
    expect(one.root).toBe(root);
    expect(one.tree.length).toBe(size);
    expect(createHash("sha256").update(one.tree).digest("hex")).toBe(sha256);
    expect(await one.problem()).toBeUndefined();
  });
});

describe("verityProblem", () => {
  it.each<[string, (one: Awaited<ReturnType<typeof made>>) => void, RegExp]>([
    ["a superblock of another making", ({ tree }) => tree.fill(0, 16, 20), /superblock/],
    ["a top that was changed", ({ tree }) => tree.fill(1, 4096, 4100), /not that of the root hash/],
    ["leaves that were changed", ({ tree }) => tree.fill(1, 8192, 8196), /not that of the root hash/],
    ["a filesystem that was mounted since", ({ data }) => data.fill(9, 1024, 1100), /has changed since/],
  ])("tells %s", async (_what, damage, problem) => {
    const one = await made(130);
    damage(one);
    expect(await one.problem()).toMatch(problem);
  });

  it("tells another root hash", async () => {
    const { verity, data, tree } = await made(130);
    expect(await verityProblem(verity, "00".repeat(32), bytes(data), bytes(tree))).toMatch(/root hash/);
  });
});
