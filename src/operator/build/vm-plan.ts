import { epochOf } from "../../debian/lock/lock-date.ts";
import type { DiskIdentity } from "../../disks/find-disk.ts";
import type { Plan, StepData } from "../../schema/plan.ts";
import { stepData } from "../../steps/step/step.ts";
import { unpackTree } from "../../steps/tree/unpack-tree.ts";
import { isSshHostKey } from "../../steps/tree/write-secrets.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { Fail } from "../../util/fail.ts";
import { baseSteps } from "../plan/plan.ts";
import { splitSecrets } from "../plan/split-secrets.ts";
import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";
import { asImage, blankDisks, imageSeed, lastingOf, treePlan } from "./tree-plan.ts";

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
  const blank = blankDisks(writtenDisks(storage));
  const base = baseSteps(spec, seed, epoch, {
    ...{ disks: blank, consoles: spec.boot?.consoles ?? [], lasting: lastingOf(inputs) },
  });
  const whole = treePlan(inputs);
  const { open, sealed } = splitSecrets(whole.tree, {
    secrets: secrets !== undefined,
    hostKeys: [...(secrets?.keys() ?? [])].some(isSshHostKey),
  });
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
