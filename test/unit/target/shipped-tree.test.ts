import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../../src/schema/plan.ts";
import { beginTreeDigest, checkShippedTree, withTreeSize } from "../../../src/target/shipped-tree.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { silentLog } from "../../../src/util/log.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const bytes = Buffer.from("a finished tree");
const tree = { size: bytes.length, sha256: sha256(bytes), contentBytes: 5000 };

function came(content: Uint8Array | undefined): string {
  const file = join(tempDir(), "tree");
  if (content !== undefined) writeFileSync(file, content);
  return file;
}

describe("the tree that came along", () => {
  it("gives its RAM back where it is of no use any more", async () => {
    const file = came(bytes);
    await checkShippedTree(undefined, silentLog, { file });
    expect(existsSync(file)).toBe(false);
  });

  it("is accepted as it was signed for, and in no other form", async () => {
    await checkShippedTree(tree, silentLog, { file: came(bytes) });
    const flipped = Buffer.from(bytes);
    flipped[3] = flipped[3]! ^ 1;
    for (const other of [flipped, bytes.subarray(1), Buffer.concat([bytes, bytes])])
      await expect(checkShippedTree(tree, silentLog, { file: came(other) })).rejects.toThrow(
        "the tree that came along is not the one that was signed for",
      );
    await expect(checkShippedTree(tree, silentLog, { file: came(undefined) })).rejects.toThrow(
      "did not come along",
    );
  });

  it("is read while GO is waited for, and once more where that did not work", async () => {
    const other = beginTreeDigest(tree, came(Buffer.from("an altered tree")));
    await expect(checkShippedTree(tree, silentLog, { file: came(bytes), digest: other })).rejects.toThrow(
      "not the one that was signed for",
    );
    for (const from of [came(bytes), came(undefined)])
      await checkShippedTree(tree, silentLog, { file: came(bytes), digest: beginTreeDigest(tree, from) });
    expect(beginTreeDigest(undefined, came(bytes))).toBeUndefined();
  });

  it("is of no matter to an order that names none", async () => {
    await checkShippedTree(undefined, silentLog, { file: came(undefined) });
    await checkShippedTree(undefined, silentLog, { file: came(bytes) });
  });

  it("gives the unpacking its size, which the plan does not know", () => {
    const plan: Plan = {
      ...{ version: 1, hostname: "web", definition: "d", prepare: [] },
      steps: [
        { kind: "unpack-tree", doing: "unpacking the tree", archive: { file: "/run/imgbuild/tree" } },
        { kind: "finish-tree", doing: "clearing up" },
      ],
    };
    expect(withTreeSize(plan, tree).steps).toEqual([
      {
        ...{ kind: "unpack-tree", doing: "unpacking the tree" },
        archive: { file: "/run/imgbuild/tree", sizeBytes: 5000 },
      },
      { kind: "finish-tree", doing: "clearing up" },
    ]);
    expect(withTreeSize(plan, undefined)).toBe(plan);
  });
});
