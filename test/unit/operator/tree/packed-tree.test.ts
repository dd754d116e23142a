import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cpioBytes } from "../../../../src/archive/cpio.ts";
import { findPackedTree } from "../../../../src/operator/tree/packed-tree.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

it("a packed tree is an archive for an initramfs, in which it is known where the tree itself begins", async () => {
  const place = join(tempDir(), "packed");
  mkdirSync(place);
  const content = Buffer.from("a tree, packed");
  const archive = await cpioBytes([{ type: "file", name: "imgbuild-tree", mode: 0o600, content }]);
  writeFileSync(join(place, "tree.cpio"), archive);
  const known = {
    archive: { size: archive.length, sha256: sha256(archive) },
    tree: { size: content.length, sha256: sha256(content), contentBytes: 50 },
  };
  writeFileSync(join(place, "tree.json"), JSON.stringify(known));
  const found = (await findPackedTree(place))!;
  expect(found).toMatchObject(known);
  expect(statSync(found.archive.path).size).toBe(archive.length);
  const bytes = readFileSync(found.archive.path).subarray(found.start, found.start + found.tree.size);
  expect(sha256(bytes)).toBe(found.tree.sha256);
});
