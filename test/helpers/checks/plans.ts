import { imagePlan, needsVm } from "../../../src/operator/build/image-plan.ts";
import { treePlan } from "../../../src/operator/build/tree-plan.ts";
import { vmPlan } from "../../../src/operator/build/vm-plan.ts";
import { declaredDisks } from "../../../src/operator/host/plan-definition.ts";
import { withImpliedPackages } from "../../../src/operator/lock/lock.ts";
import { deployPlan } from "../../../src/operator/plan/plan.ts";
import type { StepData } from "../../../src/schema/plan.ts";
import type { Spec } from "../../../src/schema/spec.ts";
import { allSteps } from "../../../src/steps/registry.ts";
import { inputsOfDeploy, lockOf, machineFacts } from "../builders/deployable.ts";

const paths = {
  image: "/w/disk.raw",
  tree: "/w/tree",
  esp: "/w/esp",
  xbootldr: "/w/xbootldr",
  scratch: "/w/x",
};

/** Every step of an image of a definition and of its deploy, as far as they follow from the definition alone. */
export function plannedSteps(spec: Spec): StepData[] {
  const lock = lockOf(
    spec,
    withImpliedPackages(spec).packages.install.map((name) => name.replace(/[=/].*|-$/, "")),
  );
  const files = { files: new Map(), links: [] };
  const inputs = {
    spec,
    lock,
    definition: "def",
    files,
    filesDir: undefined,
    mirrors: {},
    secrets: undefined,
  };
  const { packages, system, initramfs, finish } = treePlan(inputs).tree;
  const steps = [...packages, ...system, ...initramfs, ...finish];
  if (spec.storage === undefined) return steps;
  if (needsVm(inputs)) {
    const plan = vmPlan(inputs);
    steps.push(...plan.plan(plan.archive(2 ** 20)).steps);
  } else {
    const plan = imagePlan(inputs);
    steps.push(...plan.disk(paths), ...plan.boot(paths), ...plan.esp(paths));
  }
  const about = { facts: machineFacts(), disks: declaredDisks(spec), mirrors: {} };
  const deploy = deployPlan(inputsOfDeploy({ spec, lock }), about);
  return [...steps, ...deploy.prepare, ...deploy.steps];
}

/** What is wrong with the data of steps, as whoever runs them would see it. */
export function wrongSteps(steps: readonly StepData[]): string[] {
  return steps.flatMap(({ kind, doing, ...data }) => {
    const result = allSteps.get(kind)?.schema.safeParse(JSON.parse(JSON.stringify(data)));
    if (result === undefined) return [`${kind} is no step`];
    return result.success ? [] : [`${doing}: ${result.error.message}`];
  });
}
