import type { DiskFacts } from "../../schema/facts.ts";
import type { Plan } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import {
  type DeployOptions,
  deployInputs,
  deployWorld,
  type LoginOptions,
  type Outside,
} from "../deploy/inputs.ts";
import { inspectAndPlan } from "../deploy/inspect.ts";
import { newTrail } from "../deploy/phases.ts";
import type { Inspected } from "../deploy/results.ts";
import { deployPlan } from "../plan/plan.ts";

/** As the command line says them. */
export type PlanOptions = LoginOptions & Pick<DeployOptions, "login">;

const usual = { deadManSeconds: 600, slow: 1, withoutSecrets: true } as const;

/** What a deploy of a definition to a host would do, and what stands against it; changes nothing. */
export async function planDefinition(
  path: string,
  host: string,
  options: PlanOptions,
  outside: Outside,
): Promise<Inspected> {
  const inputs = await deployInputs(path, host, { ...options, ...usual }, outside);
  const trail = newTrail();
  try {
    return await inspectAndPlan(
      inputs,
      deployWorld(host, options, outside, async () => {}),
      trail,
    );
  } finally {
    trail.last("connected")?.old.close();
  }
}

/** The same for no host: the steps on a machine with just the disks that the definition declares, as large as their images. */
export async function planWithoutHost(
  path: string,
  options: PlanOptions,
  outside: Outside,
): Promise<{ readonly definition: string; readonly plan: Plan }> {
  const inputs = await deployInputs(path, "", { ...options, ...usual }, outside);
  const { spec, definition } = inputs;
  const plan = deployPlan(inputs, {
    facts: {
      machineId: "",
      bootId: "",
      consoles: spec.boot?.consoles ?? [],
      firmware: spec.boot?.firmware.includes("uefi") ? "uefi" : "bios",
    },
    disks: declaredDisks(spec),
    mirrors: spec.system.mirror === undefined ? {} : { debian: [spec.system.mirror] },
  });
  return { definition, plan };
}

function declaredDisks(spec: Spec): Record<string, DiskFacts> {
  const disks = Object.entries(spec.storage?.disks ?? {}).map(([name, disk]): [string, DiskFacts] => [
    name,
    {
      name,
      ...(disk.match.serial === undefined ? {} : { serial: disk.match.serial }),
      ...(disk.match.wwn === undefined ? {} : { wwn: disk.match.wwn }),
      sizeBytes: "table" in disk ? disk.imageSize : (disk.match.minSize ?? 2 ** 30),
      sectorSize: 512,
      removable: false,
      readOnly: false,
      holders: [],
      mountPoints: [],
      partitions: [],
    },
  ]);
  return Object.fromEntries(disks);
}
