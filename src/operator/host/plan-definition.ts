import type { DiskFacts, Facts, PartitionFacts } from "../../schema/facts.ts";
import type { Plan } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import type { WrittenDisk } from "../../schema/storage.ts";
import { keepOf } from "../../storage/graph/graph.ts";
import { firstInstall } from "../../storage/table/first-install.ts";
import { layoutOf } from "../../storage/table/gpt.ts";
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
import type { Finding } from "../inspect/finding.ts";
import { typedAtConsole } from "../inspect/needs.ts";
import { deployPlan } from "../plan/plan.ts";
import { lastingFindings } from "../plan/rescue-first.ts";

/** As the command line says them. */
export type PlanOptions = LoginOptions &
  Pick<DeployOptions, "login" | "disk" | "card" | "restore" | "takeover" | "buildOn">;

const sectorSize = 512;
const gib = 2 ** 30;
const mib = 2 ** 20;
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
): Promise<{ readonly definition: string; readonly plan: Plan; readonly findings: readonly Finding[] }> {
  const inputs = await deployInputs(path, "", { ...options, ...usual }, outside);
  const { spec, definition } = inputs;
  const firmware: Facts["firmware"] = spec.boot?.firmware.includes("uefi") ? "uefi" : "bios";
  const disks = declaredDisks(spec);
  const plan = deployPlan(inputs, {
    facts: { machineId: "", bootId: "", consoles: spec.boot?.consoles ?? [], firmware },
    disks,
    mirrors: spec.system.mirror === undefined ? {} : { debian: [spec.system.mirror] },
  });
  const findings = [...typedAtConsole(spec), ...lastingFindings({ ...inputs, facts: { firmware }, disks })];
  return { definition, plan, findings };
}

/** Each as an inspection would see it, with nothing on it but what is to be kept. */
export function declaredDisks({ storage }: Pick<Spec, "storage">): Record<string, DiskFacts> {
  if (storage === undefined) return {};
  const first = firstInstall(storage).disks;
  const disks = Object.entries(storage.disks).map(([name, disk]): [string, DiskFacts] => {
    const { serial, wwn, minSize = gib } = disk.match;
    const uuids = "keep" in disk ? disk.keep.map(({ uuid }) => uuid) : [];
    return [
      name,
      {
        ...{ name, sizeBytes: "table" in disk ? disk.imageSize : minSize, sectorSize },
        ...(serial === undefined ? {} : { serial }),
        ...(wwn === undefined ? {} : { wwn }),
        ...{ removable: false, readOnly: false, holders: [], mountPoints: [] },
        partitions:
          "table" in disk
            ? keptParts(name, disk, first[name] as WrittenDisk)
            : uuids.map((uuid, index) => partOf(name, index + 1, { startBytes: mib, sizeBytes: mib }, uuid)),
      },
    ];
  });
  return Object.fromEntries(disks);
}

/** Where the partitions that are kept would be if they were made. */
function keptParts(name: string, { table }: WrittenDisk, first: WrittenDisk): PartitionFacts[] {
  const { partitions } = layoutOf(first, first.imageSize, sectorSize, { seed: "", name });
  return partitions.flatMap((part, index) => {
    const keep = keepOf(table.partitions[index]?.content);
    return keep === undefined ? [] : [partOf(name, part.number, part, keep.uuid)];
  });
}

function partOf(
  disk: string,
  number: number,
  { startBytes, sizeBytes }: Pick<PartitionFacts, "startBytes" | "sizeBytes">,
  uuid: string,
): PartitionFacts {
  return { name: `${disk}${number}`, startBytes, sizeBytes, uuid, mountPoints: [] };
}
