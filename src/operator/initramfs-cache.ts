import { existsSync, lstatSync, readFileSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { initramfsInputs } from "../boot/initramfs-inputs.ts";
import type { StepData } from "../schema/plan.ts";
import { type Change, treeDelta, withDigest } from "../storage/tree-delta.ts";
import { markUsed } from "../system/file-lock.ts";
import { inOnePiece } from "../system/one-piece.ts";
import type { TreeCopy } from "../system/overlay.ts";
import { digestOf, sha256 } from "../util/digest.ts";
import type { Layer } from "./layers.ts";

/** All that making an initramfs changes in a tree. */
const outputs = [
  /^\/boot\/initrd\.img-[^/]+$/,
  /^\/var\/lib\/initramfs-tools\/[^/]+$/,
  /^\/(boot\/)?(vmlinuz|initrd\.img)(\.old)?$/,
];

/** Whether a path is one that making an initramfs changes. */
export function isInitramfsOutput(path: string): boolean {
  return outputs.some((one) => one.test(path));
}

/** The directories whose times it changes, kept beside its outputs. */
const touchedFile = "touched.json";

/**
 * Makes the initramfs of a tree that differs little from its layer, or takes one that was made of the same: of what differs,
 * only what its making may read counts. One that may hold a secret is never kept, which is the answer.
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
  if (inputs.some(({ path }) => options.secretPaths.includes(path))) {
    await make();
    return false;
  }
  const digest = digestOf([options.steps, inputs.map(content)]).slice(0, 32);
  const directory = join(layer.directory, `initramfs-${digest}`);
  if (existsSync(directory)) {
    markUsed(directory);
    await replace(directory, copy.tree);
    return true;
  }
  await make();
  const told = new Map(before.map((change) => [key(change), change]));
  const made = delta().filter((change) => !told.has(key(change)));
  const [touched, written] = [made.filter(isTouch), made.filter((change) => !isTouch(change))];
  // What it left elsewhere would be missing where it is taken from the cache.
  if (!written.every(({ path }) => isInitramfsOutput(path))) return true;
  await inOnePiece(directory, async (into) => {
    await writeFile(join(into, touchedFile), JSON.stringify(touched.map(({ path }) => path)));
    for (const path of await present(copy.tree)) {
      await mkdir(dirname(join(into, path)), { recursive: true });
      await cp(join(copy.tree, path), join(into, path), { verbatimSymlinks: true, preserveTimestamps: true });
    }
  });
  return true;
}

/** A directory of which only the time has changed, as that of temporary files. */
function isTouch(change: Change): boolean {
  return change.do === "set" && change.type === 0o040000;
}

/** A change as it bears on what reads the path: its content, not where that lies. */
function content(change: Change): unknown {
  if (change.do === "write") return [change.path, change.mode, sha256(readFileSync(change.from))];
  if (change.do === "symlink") return [change.path, change.link];
  return change.do === "set" || change.do === "mkdir" ? [change.path, change.mode] : [change.path];
}

function key(change: Change): string {
  return JSON.stringify(withDigest(change));
}

/** Puts kept outputs into a tree, in the place of those that it has. */
async function replace(from: string, tree: string): Promise<void> {
  for (const path of await present(tree)) await rm(join(tree, path));
  for (const path of await present(from)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await cp(join(from, path), join(tree, path), { verbatimSymlinks: true, preserveTimestamps: true });
  }
  const now = new Date();
  for (const path of JSON.parse(await readFile(join(from, touchedFile), "utf8")) as string[])
    await utimes(join(tree, path), now, now);
}

/** The outputs that a tree has. */
async function present(tree: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of ["/", "/boot", "/var/lib/initramfs-tools"])
    for (const name of await readdir(join(tree, directory)).catch(() => [] as string[])) {
      const path = join(directory, name);
      if (isInitramfsOutput(path) && !lstatSync(join(tree, path)).isDirectory()) found.push(path);
    }
  return found;
}
