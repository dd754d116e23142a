import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { splitLate } from "../../debian/unpack/late-packages.ts";
import { isActivePackage, leavesOf } from "../../debian/unpack/leaf-packages.ts";
import { readControls } from "../../debian/unpack/stage.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import { installLeaves } from "../../steps/packages/install-leaves.ts";
import { installPackages } from "../../steps/packages/install-packages.ts";
import { type StepContext, stepData } from "../../steps/step/step.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { distribution } from "../../tables/distribution.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf } from "../../util/digest.ts";
import { mergedUsr } from "../../util/tree-path.ts";
import type { TreeLayers } from "../plan/tree.ts";

/** Unpacking what is little. */
const readMs = 600_000;
const Names = z.array(z.string());

/**
 * Takes the leaves out of the packages' layer and makes them the first thing that is laid upon it: one more of them leaves the layer
 * as it is. What they are is known when the packages have been looked into, and kept in the cache.
 */
export async function setLeavesApart(
  tree: TreeLayers,
  cache: string,
  context: StepContext,
): Promise<TreeLayers> {
  const install = tree.packages.find(({ kind }) => kind === installPackages.kind);
  if (install === undefined) return tree;
  const { packages } = installPackages.schema.parse({ packages: install.packages });
  const names = new Set(await leafNames(packages, cache, context));
  if (names.size === 0) return tree;
  const ground = packages.filter(({ name }) => !names.has(name));
  const doing = `installing ${ground.length} packages`;
  return {
    ...tree,
    packages: tree.packages.map((step) =>
      step === install ? stepData(installPackages, doing, { packages: ground }) : step,
    ),
    system: [
      stepData(installLeaves, `installing ${names.size} more packages`, { packages, leaves: [...names] }),
      ...tree.system,
    ],
  };
}

/** Tells of a finished tree's path whether it came with the leaves: their own files, and what dpkg keeps of each. */
export function leafPaths({ system }: TreeLayers, root: string): (path: string) => boolean {
  const [step] = system;
  if (step?.kind !== installLeaves.kind) return () => false;
  const { leaves } = installLeaves.schema.pick({ leaves: true }).strip().parse(step);
  const wanted = new Set(leaves);
  const paths = new Set<string>();
  const info = `${distribution.database}/info`;
  const tree = new Tree(root);
  // A script of the definition may have taken dpkg's database away.
  for (const name of tree.list(info)) {
    const [, owner, kind] = /^([^:]+?)(?::[^.]+)?\.([^.]+)$/.exec(name) ?? [];
    if (owner === undefined || !wanted.has(owner)) continue;
    paths.add(`${info}/${name}`);
    if (kind !== "list") continue;
    for (const path of (tree.text(`${info}/${name}`) ?? "").split("\n"))
      if (path !== "") paths.add(mergedUsr(path));
  }
  return (path) => paths.has(path);
}

async function leafNames(
  packages: readonly LockedPackage[],
  cache: string,
  context: StepContext,
): Promise<readonly string[]> {
  const known = packages.map(({ name, sha256, size, bootstrap, depends }) => [
    ...[name, sha256, size, bootstrap, depends ?? null],
  ]);
  const directory = join(cache, "index");
  const file = join(directory, `${digestOf(known)}.leaves`);
  const kept = Names.safeParse(await readFile(file, "utf8").then(JSON.parse, () => undefined));
  if (kept.success) return kept.data;
  const { soon } = splitLate(packages.filter(({ bootstrap }) => !bootstrap));
  await context.fetch(soon, context.log);
  const controls = await readControls(soon, {
    filter: (argv, io) => context.filter(argv, { ...io, timeoutMs: readMs, signal: context.signal }),
    pathOf: (locked) => context.packagePath(locked).outside,
  });
  const names = [...leavesOf(packages, (locked) => isActivePackage(controls.get(locked)!))];
  await mkdir(directory, { recursive: true });
  await writeWhole(file, JSON.stringify(names));
  return names;
}
