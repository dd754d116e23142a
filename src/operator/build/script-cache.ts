import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { settleTimes } from "../../disks/filesystem/tree-usage.ts";
import type { StepData } from "../../schema/plan.ts";
import { installLeaves } from "../../steps/packages/install-leaves.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { settlePasswordDates } from "../../steps/tree/finish-tree.ts";
import { provision } from "../../steps/tree/provision.ts";
import { hold } from "../../system/files/file-lock.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { copyFiles, type TreeCopy, treeCopy } from "../../system/files/overlay.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf } from "../../util/digest.ts";
import { dropOld, type Layer } from "./layers.ts";

/** Uppers that a layer keeps, the latest: older ones are of scripts and lists of packages that were edited since. */
const kept = 6;
const prefix = "upper-";

/** A tree upon which a definition is being laid, and which of its steps are still to be done. */
export interface StartedTree extends TreeCopy {
  readonly rest: readonly StepData[];
}

export interface ProvisionOptions {
  readonly layer: Layer;
  /** What the definition says beyond packages. */
  readonly steps: readonly StepData[];
  readonly epoch: number;
  /** No script's result is kept where a secret may be in the tree. */
  readonly keep: boolean;
}

/**
 * A copy of the layer's tree. Where scripts have run on it before, after the same steps, it begins with what they made. A script that
 * reaches the network is run each time, and so is all that follows: it may find something else today.
 */
export async function startTree(
  { layer, steps, keep }: ProvisionOptions,
  work: string,
  signal: AbortSignal,
): Promise<StartedTree> {
  const started = await longestKept(layer, steps, keep);
  const from = started === 0 ? undefined : join(placeOf(layer, steps, started), "upper");
  const copy = await treeCopy(layer.tree, work, { signal, from });
  return { ...copy, rest: copy.upper === undefined ? steps : steps.slice(started) };
}

/** How many of the steps need not be done, because the cache has what comes of them; it stays there until this process ends. */
async function longestKept(layer: Layer, steps: readonly StepData[], keep: boolean): Promise<number> {
  for (const count of keepable(steps, keep).reverse())
    if (await hold(placeOf(layer, steps, count))) return count;
  return 0;
}

/** Does the steps that are left, and keeps what scripts made, where it may be. */
export async function runSystem(
  copy: StartedTree,
  context: StepContext,
  { layer, steps, epoch, keep }: ProvisionOptions,
): Promise<void> {
  const ends = copy.upper === undefined ? [] : keepable(steps, keep);
  let done = steps.length - copy.rest.length;
  for (const end of [...ends.filter((one) => one > done), steps.length]) {
    await executeSteps(steps.slice(done, end), allSteps, context);
    done = end;
    if (!ends.includes(end)) continue;
    // What depends on the day is the same in a tree that is taken from here and in one that goes on.
    settlePasswordDates(new Tree(context.root), epoch, context.began);
    await inOnePiece(placeOf(layer, steps, end), async (into) => {
      const upper = join(into, "upper");
      await mkdir(upper);
      await copyFiles(copy.upper!, upper, { signal: context.signal });
      settleTimes(upper, epoch, context.began);
    });
    await dropOld(layer, prefix, kept);
  }
}

/**
 * How many steps come up to the end of each part that is worth keeping: packages laid upon the layer, of which nothing is secret, and
 * scripts that have run without a network, as have those before them.
 */
function keepable(steps: readonly StepData[], keep: boolean): number[] {
  const packages = steps[0]?.kind === installLeaves.kind ? [1] : [];
  const scripts = steps.flatMap((step, index) =>
    step.kind === provision.kind ? [{ step, end: index + 1 }] : [],
  );
  const first = scripts.findIndex(({ step }) => step.network === true);
  const kept = scripts.slice(0, first < 0 ? scripts.length : first).map(({ end }) => end);
  return keep ? [...packages, ...kept] : packages;
}

function placeOf(layer: Layer, steps: readonly StepData[], count: number): string {
  return join(layer.directory, `${prefix}${digestOf(steps.slice(0, count)).slice(0, 32)}`);
}
