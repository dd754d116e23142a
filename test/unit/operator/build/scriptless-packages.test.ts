import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { leafPaths } from "../../../../src/operator/build/scriptless-packages.ts";
import type { TreeLayers } from "../../../../src/operator/plan/tree.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const none: TreeLayers = { packages: [], system: [], initramfs: [], finish: [] };

function treeWith(info: Readonly<Record<string, string>>): string {
  const root = tempDir();
  mkdirSync(join(root, "var/lib/dpkg/info"), { recursive: true });
  for (const [name, text] of Object.entries(info)) writeFileSync(join(root, "var/lib/dpkg/info", name), text);
  return root;
}

function withLeaves(...leaves: string[]): TreeLayers {
  const locked = { name: "tree", version: "2.2.1-1", architecture: "amd64", archive: "debian" };
  const about = { path: "pool/tree.deb", size: 1, sha256: "0".repeat(64), requested: true, bootstrap: false };
  const step = { kind: "install-leaves", doing: "", packages: [{ ...locked, ...about }], leaves };
  return { ...none, system: [step] };
}

it("knows a leaf's files behind the merged /usr, and dpkg's of it, and no other package's", async () => {
  const root = treeWith({
    "tree.list": "/.\n/usr\n/usr/bin\n/usr/bin/tree\n",
    "tree.md5sums": "",
    "libx1.2:amd64.list": "/lib/x86_64-linux-gnu/libx.so.1.2\n",
    "tree-doc.list": "/usr/share/doc/tree-doc\n",
    format: "1\n",
  });
  const isLeaf = await leafPaths(withLeaves("tree", "libx1.2"), root);
  const info = (name: string) => `/var/lib/dpkg/info/${name}`;
  for (const path of [
    ...["/usr/bin/tree", "/usr/lib/x86_64-linux-gnu/libx.so.1.2", "/usr/bin"],
    ...["tree.list", "tree.md5sums", "libx1.2:amd64.list"].map(info),
  ])
    expect([path, isLeaf(path)]).toEqual([path, true]);
  for (const path of ["/usr/share/doc/tree-doc", info("tree-doc.list"), info("format"), "/etc/passwd"])
    expect([path, isLeaf(path)]).toEqual([path, false]);
});

it("knows nothing where dpkg's database is gone", async () => {
  expect((await leafPaths(withLeaves("tree"), tempDir()))("/usr/bin/tree")).toBe(false);
});

it("knows nothing where nothing was laid apart", async () => {
  expect((await leafPaths(none, "/nonexistent"))("/usr/bin/tree")).toBe(false);
});
