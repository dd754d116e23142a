import type { Keepers } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { StepContext } from "../../steps/step/step.ts";
import type { Secret } from "../../util/secret.ts";
import { baseTree } from "../base/base.ts";
import type { DefinitionFiles } from "../definition/files.ts";
import { nativeContext } from "../native/native-context.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import type { VmOptions } from "../vm-runner/vm-run.ts";
import { withInitramfs } from "./initramfs-cache.ts";
import { isMade, type Layer, type LayerOptions, makeLayer, packagesLayer, type TreePlan } from "./layers.ts";
import { type ProvisionOptions, runSystem, type StartedTree, startTree } from "./script-cache.ts";
import { setLeavesApart } from "./scriptless-packages.ts";

export interface ImageInputs {
  readonly spec: Spec;
  readonly lock: Lock;
  /** Digest of spec, lock and files. */
  readonly definition: string;
  readonly files: DefinitionFiles;
  readonly filesDir: string | undefined;
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Asked for what no mirror has. */
  readonly keepers?: Keepers | undefined;
  /** Put at their declared paths; undefined leaves them out, as an image that is handed on must. */
  readonly secrets: ReadonlyMap<string, Secret> | undefined;
  /** Of an image without secrets: those that its making needs all the same, see `buildKeyNames`. They are put nowhere. */
  readonly keys?: ReadonlyMap<string, Secret> | undefined;
  /** Where it stays as the image's rescue system. */
  readonly base?: BaseFiles | undefined;
}

/** What a build of a plan takes beside the plan. */
export type BuildInputs = Pick<
  ImageInputs,
  "filesDir" | "mirrors" | "keepers" | "secrets" | "keys" | "base"
> & {
  readonly spec: Pick<Spec, "secrets">;
};

/** Where a build is done. */
export interface BuildOptions extends VmOptions {
  /** The base makes the disks in a virtual machine: any layout, also those that this machine's kernel cannot make. */
  readonly inVm?: boolean | undefined;
}

/** What the parts of one build share. */
export interface Build<Plan extends TreePlan = TreePlan> {
  readonly work: string;
  readonly plan: Plan;
  readonly layer: Layer;
  readonly layerOptions: LayerOptions;
  readonly options: BuildOptions;
  readonly secretPaths: readonly string[];
  /** What of the definition is laid upon the packages' layer, and whether parts of it may be kept. */
  readonly system: ProvisionOptions;
  /** `more`: a directory that tools may write to as well. */
  contextFor(root: string, work: string, more?: string): StepContext;
}

export async function buildOf<Plan extends TreePlan>(
  inputs: BuildInputs,
  given: Plan,
  work: string,
  options: BuildOptions,
): Promise<Build<Plan>> {
  const base = await baseTree(options);
  const began = Date.now() / 1000;
  const contextFor: Build["contextFor"] = (root, directory, more) => ({
    ...nativeContext({
      root,
      work: directory,
      ...(more === undefined ? {} : { more }),
      baseTree: base.tree,
      base: filesOf(inputs.base),
      cache: options.cache,
      mirrors: inputs.mirrors,
      keepers: inputs.keepers,
      proxies: proxiesOf(options.env),
      files: inputs.filesDir,
      // To the base they go sealed, and nowhere else.
      secrets: (options.inVm ? undefined : (inputs.secrets ?? inputs.keys)) ?? new Map(),
      log: options.log,
      signal: options.signal,
    }),
    // However late it is made: of the build, which all its parts are of.
    began,
  });
  const tree = await setLeavesApart(given.tree, options.cache, contextFor(work, work));
  const plan = { ...given, tree };
  const layerOptions = { cache: options.cache, base: base.digest, plan };
  const layer = await packagesLayer(layerOptions);
  const keep = inputs.secrets === undefined || inputs.secrets.size === 0;
  return {
    work,
    plan,
    layer,
    system: { layer, steps: tree.system, epoch: plan.epoch, keep },
    layerOptions,
    options,
    secretPaths: Object.values(inputs.spec.secrets).flatMap(({ path }) => path ?? []),
    contextFor,
  };
}

function filesOf(base: BaseFiles | undefined): StepContext["base"] {
  if (base === undefined) return undefined;
  const { kernel, outer, squashfs } = base;
  return { kernel: kernel.path, outer: outer.path, squashfs: squashfs.path };
}

/** Makes the packages' layer, unless it is there. */
export async function layerOf(build: Build): Promise<void> {
  if (await isMade(build.layer)) return;
  await build.options.log.task("making the packages' layer", (log) =>
    makeLayer(build.layer, build.layerOptions, (root, directory) => ({
      ...build.contextFor(root, directory),
      log,
    })),
  );
}

/** A copy of the packages' layer, to be finished. */
export async function startSystem({ system, work, options }: Build): Promise<StartedTree> {
  return await startTree(system, work, options.signal);
}

/** What the definition says beyond packages, on a copy of their layer. Returns whether the result may be cached. */
export async function finishSystem(build: Build, copy: StartedTree, context: StepContext): Promise<boolean> {
  const { plan, layer, secretPaths } = build;
  const { initramfs, finish } = plan.tree;
  await runSystem(copy, context, build.system);
  const options = { steps: initramfs, secretPaths, epoch: plan.epoch, since: context.began };
  const keep = await withInitramfs(layer, copy, options, () => executeSteps(initramfs, allSteps, context));
  await executeSteps(finish, allSteps, context);
  return keep;
}
