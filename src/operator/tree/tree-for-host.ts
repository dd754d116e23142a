import type { Mirrors } from "../../debian/archive/mirrors.ts";
import { shippedTree } from "../../schema/base/deploy.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Plan, StepData } from "../../schema/plan.ts";
import { stepData } from "../../steps/step/step.ts";
import { placeFiles } from "../../steps/tree/place-files.ts";
import { provision } from "../../steps/tree/provision.ts";
import { type FileToWrite, writeFiles } from "../../steps/tree/write-files.ts";
import { storageConfig } from "../../storage/system/storage-config.ts";
import { distribution } from "../../tables/distribution.ts";
import { digestOf } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import type { ImageInputs } from "../build/build.ts";
import type { TreePlan } from "../build/layers.ts";
import { declaredTree } from "../build/tree-plan.ts";
import { kernelCmdline } from "../plan/boot-steps.ts";
import { deploySeed, type PlanInputs, unpackingPlan } from "../plan/plan.ts";
import type { Planned } from "../plan/planned.ts";
import { splitSecrets } from "../plan/split-secrets.ts";
import { type TreeLayers, treeLayers } from "../plan/tree.ts";

/** The making of a tree for a host, in two places. */
export interface TreeForHost {
  /** The plan of the tree here: without secrets, host keys and machine-id. */
  readonly made: TreePlan;
  /** What the base does once it is unpacked: what no one may read, and what is this host's own. */
  readonly sealed: readonly StepData[];
  /** Any host may have it. Otherwise it is of this host, in this boot of it. */
  readonly shared: boolean;
}

/** What the tree of a deploy follows from. */
type TreeInputs = Omit<PlanInputs, "base"> & {
  /** Where packages are got here. */
  readonly mirrors: Mirrors;
};

/** What of a host is in its tree. */
export interface AboutHost {
  readonly facts: Pick<Facts, "machineId" | "bootId" | "consoles">;
  /** Those of the new system's apt. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
}

/**
 * Files that say something of one host, and that nothing reads while a tree is made but a definition's own scripts. They can as well
 * be written when the tree is there.
 */
const readLater = [
  "/etc/fstab",
  "/etc/kernel/cmdline",
  `${distribution.settings}/sources.list.d/debian.sources`,
];

/**
 * The tree of a deploy, made on the operator's machine: it ends as the one that the base makes of packages. UUIDs, consoles and mirrors
 * are the host's own. Where nothing depends on them in the making the tree is the definition's, and they are written on the host; where
 * the initramfs is made of them, or a script could read them, it is made for this host alone.
 */
export function treeForHost(inputs: TreeInputs, { facts, mirrors }: AboutHost): TreeForHost {
  const { spec, lock, definition } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage");
  const seed = deploySeed(definition, facts);
  const whole = declaredTree(imageInputs(inputs), "deploy");
  const forHost = treeLayers(spec, lock, {
    storage: storageConfig(storage, seed, spec.secrets),
    mirrors,
    packages: new Set(lock.packages.map(({ name }) => name)),
    files: inputs,
    identity: "deploy",
    cmdline: kernelCmdline(spec, seed, facts.consoles),
    definition,
  });
  const early = differing(forHost.packages, whole.tree.packages);
  const all = ({ packages, system }: TreeLayers) => [...packages, ...system];
  const own = differing(all(forHost), all(whole.tree));
  const shared = own.every(({ path }) => readLater.includes(path)) && !hasScripts(forHost);
  const layers: TreeLayers = shared
    ? whole.tree
    : { ...forHost, packages: whole.tree.packages, system: [...written(early), ...forHost.system] };
  const come = { secrets: true, hostKeys: true };
  const rest = splitSecrets(forHost, come);
  return {
    made: { ...whole, tree: splitSecrets(layers, come).open },
    sealed: [
      ...(shared ? written(own) : []),
      ...rest.sealed,
      // Once more: it gives the system its machine-id and the deploy's mark.
      ...rest.open.finish,
    ],
    shared,
  };
}

/** The making of a tree as a plan of its own, without disks: its packages are what it prepares. */
export function treeJobPlan({ spec, definition }: PlanInputs, { tree }: TreePlan): Plan {
  const { packages, system, initramfs, finish } = tree;
  return {
    ...{ version: 1, hostname: spec.hostname, definition },
    prepare: packages,
    steps: [...system, ...initramfs, ...finish],
  };
}

/** The same plan with the tree that is shipped in place of its making. */
export function planWithTree(
  planned: Planned,
  inputs: PlanInputs,
  tree: TreeForHost,
  about: { readonly facts: Facts; readonly disks: Readonly<Record<string, DiskFacts>> },
): Planned {
  const { facts, disks } = about;
  const plan = unpackingPlan(inputs, {
    ...{ firmware: facts.firmware, secureBoot: facts.secureBoot, consoles: facts.consoles, disks },
    seed: deploySeed(inputs.definition, facts),
    archive: { file: shippedTree },
    sealed: tree.sealed,
  });
  const planDigest = digestOf(plan);
  return { ...planned, plan, planDigest, order: { ...planned.order, planDigest } };
}

/** As for an image without secrets, whose packages' layer it shares. */
export function imageInputs(inputs: TreeInputs): ImageInputs {
  return { ...inputs, files: inputs, filesDir: undefined, secrets: undefined };
}

/** Written files of the one list of steps that the other writes otherwise, as far as no later step puts others in their place. */
function differing(steps: readonly StepData[], others: readonly StepData[]): FileToWrite[] {
  const theirs = new Map(filesOf(others).map((file) => [file.path, digestOf(file)]));
  const ours = new Map(filesOf(steps).map((file) => [file.path, file]));
  const placed = new Set(placedBy(steps));
  return [...ours.values()].filter(
    (file) => theirs.get(file.path) !== digestOf(file) && !placed.has(file.path),
  );
}

function filesOf(steps: readonly StepData[]): FileToWrite[] {
  return steps.flatMap((step) =>
    step.kind === writeFiles.kind ? writeFiles.schema.parse({ files: step.files }).files : [],
  );
}

function placedBy(steps: readonly StepData[]): string[] {
  return steps.flatMap((step) =>
    step.kind === placeFiles.kind
      ? placeFiles.schema.parse({ files: step.files }).files.map(({ path }) => path)
      : [],
  );
}

function hasScripts({ system }: TreeLayers): boolean {
  return system.some(({ kind }) => kind === provision.kind);
}

function written(files: readonly FileToWrite[]): StepData[] {
  return files.length === 0
    ? []
    : [stepData(writeFiles, "writing what is this host's own", { files: [...files] })];
}
