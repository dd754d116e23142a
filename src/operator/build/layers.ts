import { statSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { settlePackages } from "../../steps/packages/settle-packages.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { claim, hold } from "../../system/files/file-lock.ts";
import { inOnePiece, putAside } from "../../system/files/one-piece.ts";
import { mapsName } from "../../system/user/id-maps.ts";
import { ownMaps } from "../../system/user/user-namespace.ts";
import { digestOf } from "../../util/digest.ts";
import { sourceDigest } from "../base/source-digest.ts";
import type { TreeLayers } from "../plan/tree.ts";

/** A tree in the cache, and what was made of it; never written once it is there. */
export interface Layer {
  readonly directory: string;
  readonly tree: string;
}

/** What of an image's plan concerns the tree, wherever its disks are made. */
export interface TreePlan {
  readonly epoch: number;
  readonly tree: TreeLayers;
  /** Filesystems for Linux' files, and where others are mounted below each, the outermost only. */
  readonly filesystems: readonly { readonly mount: string; readonly below: readonly string[] }[];
}

export interface LayerOptions {
  readonly cache: string;
  /** Digest of the base, whose tools make the layer. */
  readonly base: string;
  readonly plan: TreePlan;
}

/** The directory of the packages' layer: named by the digest of all that it is made of. */
export async function packagesLayer({ cache, base, plan }: LayerOptions): Promise<Layer> {
  const { packages } = plan.tree;
  const mounts = [...new Set(mountPointsOf(plan))].sort();
  const digest = digestOf([packages, mounts, plan.epoch, base, await sourceDigest()]).slice(0, 32);
  const directory = join(await layersPlace(cache), digest);
  return { directory, tree: join(directory, "tree") };
}

/** Whether the layer is there; it is in use from now on, and so stays when the cache is cleared. */
export async function isMade({ directory }: Layer): Promise<boolean> {
  return await hold(directory);
}

/** Makes the layer, in one piece: beside its place, then renamed. */
export async function makeLayer(
  { directory }: Layer,
  { plan }: LayerOptions,
  contextFor: (root: string, work: string) => StepContext,
): Promise<void> {
  await mkdir(dirname(directory), { recursive: true });
  await inOnePiece(directory, async (into) => {
    const root = join(into, "tree");
    const context = contextFor(root, into);
    await executeSteps(plan.tree.packages, allSteps, context);
    await settlePackages(context, { epoch: plan.epoch, mountPoints: mountPointsOf(plan) });
  });
}

/** Where something is mounted. */
export function mountPointsOf({ filesystems }: Pick<TreePlan, "filesystems">): string[] {
  return filesystems.flatMap(({ mount, below }) => [mount, ...below]);
}

/** Where layers are. A tree's owners are numbers, so every mapping of ids has a place of its own, as bases have. */
async function layersPlace(cache: string): Promise<string> {
  const maps = await ownMaps();
  const name = maps === undefined ? undefined : mapsName(maps);
  return join(cache, name === undefined ? "tree" : `tree-${name}`);
}

/** Drops what was made of the layer under names with that prefix, but for the latest of them and what is in use. */
export async function dropOld(layer: Layer, prefix: string, kept: number): Promise<void> {
  const all = await readdir(layer.directory);
  const found = all
    .filter((name) => name.startsWith(prefix) && !name.includes("."))
    .flatMap((name) => {
      // Another build may have dropped it meanwhile.
      const one = statSync(join(layer.directory, name), { throwIfNoEntry: false });
      return one === undefined ? [] : [{ name, time: one.mtimeMs }];
    });
  for (const { name } of found.sort((a, b) => b.time - a.time).slice(kept)) {
    const directory = join(layer.directory, name);
    const claimed = await claim(directory);
    if (typeof claimed === "string") continue;
    await rm(putAside(directory), { recursive: true, force: true, maxRetries: 5 });
    claimed.release();
  }
}
