import { epochOf } from "../../debian/lock/lock-date.ts";
import type { DiskIdentity } from "../../disks/find-disk.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { Plan, StepData } from "../../schema/plan.ts";
import { signLoader } from "../../steps/boot/sign-loader.ts";
import { stepData } from "../../steps/step/step.ts";
import { makeUsers } from "../../steps/tree/make-users.ts";
import { placeHostKeys } from "../../steps/tree/place-host-keys.ts";
import { unpackTree } from "../../steps/tree/unpack-tree.ts";
import { hostKeyPrefix, writeSecrets } from "../../steps/tree/write-secrets.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { Fail } from "../../util/fail.ts";
import { baseSteps } from "../plan/plan.ts";
import type { TreeLayers } from "../plan/tree.ts";
import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";
import { asImage, imageSeed, treePlan } from "./tree-plan.ts";

const sectorSize = 512;

/** An offline build in two places: the tree is made here, and the base lays it on disks in a virtual machine. */
export interface VmPlan extends TreePlan {
  /** The blank disks that the base gets. */
  readonly disks: readonly DiskIdentity[];
  /** The archive of the tree, on a disk of its own. */
  archive(sizeBytes: number): DiskIdentity;
  /** What the base does. */
  plan(archive: DiskIdentity): Plan;
}

/** The same tree, UUIDs and bootloaders as a native build makes, on any layout that the base can make. */
export function vmPlan(given: ImageInputs): VmPlan {
  const inputs = asImage(given);
  const { spec, lock, definition, secrets } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage; it is no bootable system");
  const seed = imageSeed(spec);
  const epoch = epochOf(lock);
  const written = writtenDisks(storage);
  const blank = Object.fromEntries(
    written.map(([name, disk], index) => [name, blankDisk(`imgbuild-${index}`, disk.imageSize)]),
  );
  const base = baseSteps(spec, seed, epoch, { disks: blank, consoles: spec.boot?.consoles ?? [] });
  const whole = treePlan(inputs);
  const { open, sealed } = splitSecrets(whole.tree, secrets);
  return {
    ...whole,
    tree: open,
    disks: base.storage.disks.map(({ identity }) => identity),
    archive: (sizeBytes) => ({ name: "tree", serial: "imgbuild-tree", sizeBytes }),
    plan: (archive) => ({
      version: 1,
      hostname: spec.hostname,
      definition,
      prepare: [],
      steps: [
        ...base.before.map(shownBlank),
        stepData(unpackTree, "unpacking the tree", { archive }),
        ...sealed,
        ...base.boot,
        ...base.after,
      ],
    }),
  };
}

/** The log speaks of the definition's disks by their names; the serials of ours say nothing to who reads it. */
function shownBlank(step: StepData): StepData {
  return { ...step, doing: step.doing.replace(/\(serial imgbuild-\d+, /g, "(blank, ") };
}

/** As an inspection would see it. The serials are no host's: these disks are found in our own machine alone. */
function blankDisk(serial: string, sizeBytes: number): DiskFacts {
  return {
    ...{ name: serial, serial, sizeBytes, sectorSize, removable: false, readOnly: false },
    ...{ holders: [], mountPoints: [], partitions: [] },
  };
}

/**
 * Secrets are not laid into the tree that is made here, which waits on a disk of this machine: they go to the base sealed, and
 * land on the new disks alone, which may be encrypted.
 */
function splitSecrets(
  tree: TreeLayers,
  secrets: ImageInputs["secrets"],
): { readonly open: TreeLayers; readonly sealed: StepData[] } {
  const system: StepData[] = [];
  const sealed: StepData[] = [];
  for (const step of tree.system) {
    if (step.kind === writeSecrets.kind || step.kind === signLoader.kind) sealed.push(step);
    else if (step.kind === makeUsers.kind && secrets !== undefined) {
      const { users } = makeUsers.schema.parse({ users: step.users });
      const plain = users.map(({ hashedPasswordSecret: _, ...user }) => user);
      system.push(stepData(makeUsers, step.doing, { users: plain }));
      const withPassword = users.filter(({ hashedPasswordSecret }) => hashedPasswordSecret !== undefined);
      if (withPassword.length > 0)
        sealed.push(stepData(makeUsers, "setting passwords", { users: withPassword }));
    } else system.push(step);
  }
  if ([...(secrets?.keys() ?? [])].some((name) => name.startsWith(hostKeyPrefix)))
    sealed.push(stepData(placeHostKeys, "placing the SSH host keys", { expected: true }));
  return { open: { ...tree, system }, sealed };
}
