import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { initramfsInputs } from "../../boot/initramfs-inputs.ts";
import { type Change, treeDelta, withDigest } from "../../disks/filesystem/tree-delta.ts";
import type { StepData } from "../../schema/plan.ts";
import { markUsed } from "../../system/files/file-lock.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import type { TreeCopy } from "../../system/files/overlay.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf, sha256 } from "../../util/digest.ts";
import type { Layer } from "./layers.ts";

/** All that making an initramfs changes in a tree. */
const outputs = [
  /^\/boot\/initrd\.img-[^/]+$/,
  /^\/var\/lib\/initramfs-tools\/[^/]+$/,
  /^\/(boot\/)?(vmlinuz|initrd\.img)(\.old)?$/,
];

/** Whether a path is one that making an initramfs changes. */
export function isInitramfsOutput(path: string): boolean {
  return outputs.some((pattern) => pattern.test(path));
}

/** The directories whose times it changes, kept beside its outputs. */
const touchedFile = "touched.json";

/**
 * Makes the initramfs of a tree that differs little from its layer, or takes one that was made of the same: of what differs,
 * only what its making may read counts. Returns false if it may hold a secret; then it is not kept.
 */
export async function withInitramfs(
  layer: Layer,
  copy: TreeCopy,
  options: {
    readonly steps: readonly StepData[];
    readonly secretPaths: readonly string[];
    readonly epoch: number;
    readonly since: number;
  },
  make: () => Promise<void>,
): Promise<boolean> {
  if (options.steps.length === 0) return true;
  const delta = () => treeDelta(layer.tree, copy.tree, { upper: copy.upper, ...options });
  const isInput = initramfsInputs(copy.tree, layer.tree);
  const before = delta();
  const inputs = before.filter(({ path }) => isInput(path));
  const tree = new Tree(copy.tree);
  if (inputs.some(({ path }) => options.secretPaths.includes(path))) {
    await make();
    return false;
  }
  const digest = digestOf([options.steps, inputs.map((change) => content(change, tree))]).slice(0, 32);
  const directory = join(layer.directory, `initramfs-${digest}`);
  if (existsSync(directory)) {
    markUsed(directory);
    await replace(directory, tree);
    return true;
  }
  await make();
  const told = new Set(before.map(key));
  const made = delta().filter((change) => !told.has(key(change)));
  const [touched, written] = [made.filter(isTouch), made.filter((change) => !isTouch(change))];
  // What it left elsewhere would be missing where it is taken from the cache.
  if (!written.every(({ path }) => isInitramfsOutput(path))) return true;
  await inOnePiece(directory, async (into) => {
    await writeFile(join(into, touchedFile), JSON.stringify(touched.map(({ path }) => path)));
    for (const path of present(tree)) tree.copySame(path, new Tree(into));
  });
  return true;
}

/** A directory of which only the time has changed, as that of temporary files. */
function isTouch(change: Change): boolean {
  return change.do === "set" && change.type === 0o040000;
}

/** A change as it bears on what reads the path: its content, not where that is. */
function content(change: Change, tree: Tree): unknown {
  if (change.do === "write") return [change.path, change.mode, sha256(tree.read(change.path) ?? "")];
  if (change.do === "symlink") return [change.path, change.link];
  return change.do === "set" || change.do === "mkdir" ? [change.path, change.mode] : [change.path];
}

function key(change: Change): string {
  return JSON.stringify(withDigest(change));
}

/** Puts kept outputs into a tree, in the place of those that it has. */
async function replace(from: string, tree: Tree): Promise<void> {
  for (const path of present(tree)) tree.remove(path);
  const kept = new Tree(from);
  for (const path of present(kept)) kept.copySame(path, tree);
  const now = new Date();
  for (const path of JSON.parse(await readFile(join(from, touchedFile), "utf8")) as string[])
    tree.utimes(path, now, now);
}

/** The outputs that a tree has. */
function present(tree: Tree): string[] {
  return ["/", "/boot", "/var/lib/initramfs-tools"].flatMap((directory) =>
    tree
      .list(directory)
      .map((name) => join(directory, name))
      .filter((path) => isInitramfsOutput(path) && !tree.stat(path)?.isDirectory()),
  );
}
