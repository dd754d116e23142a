import { keepersFor, remoteKeepers } from "../../debian/archive/keepers.ts";
import type { Keepers } from "../../debian/http/places.ts";
import { identityOf } from "../../disks/find-disk.ts";
import type { Order } from "../../schema/base/deploy.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Plan } from "../../schema/plan.ts";
import type { Report } from "../../schema/report.ts";
import type { Spec } from "../../schema/spec.ts";
import { tableId } from "../../storage/graph/ids.ts";
import { type DiskFate, diskFates } from "../../storage/match/disk-fates.ts";
import { digestOf } from "../../util/digest.ts";
import type { Finding } from "../inspect/finding.ts";
import type { Bound } from "../inspect/host-binding.ts";
import { aptMirror } from "./apt-files.ts";
import { deployPlan, deploySeed, type PlanInputs } from "./plan.ts";
import { rescueLine, rescuePlace } from "./rescue-first.ts";

interface AptOrigin {
  readonly archive: string;
  readonly url: string;
  readonly from: "the definition" | "the host's own sources" | "this machine";
}

/** What a person has to see before saying yes. */
export interface PlanView {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  readonly bound: Bound;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly disks: Report["disks"];
  /** Where the new system's apt will get Debian's archives, and who said so. */
  readonly apt: readonly AptOrigin[];
  /** What each of them holds before and after. */
  readonly fates: readonly DiskFate[];
  /** Where the tree is made, and what each way takes, a line each; undefined where there is but one. */
  readonly build?:
    | { readonly buildOn: "local" | "host" | "target"; readonly lines: readonly string[] }
    | undefined;
  /** What a power cut during the build leads to, in a line. */
  readonly powerCut?: string | undefined;
}

/** What will be done to the disks, for the runner and for whoever has to say yes. */
export interface Planned
  extends Pick<PlanView, "plan" | "planDigest" | "disks" | "apt" | "fates" | "powerCut"> {
  readonly order: Order;
}

/** What will be done to the disks, for the runner and for whoever has to say yes. */
export function planFor(
  inputs: PlanInputs & {
    readonly secrets: ReadonlyMap<string, unknown>;
    readonly keepers?: Keepers;
  },
  facts: Parameters<typeof deployPlan>[1]["facts"] & Pick<Facts, "mirrors">,
  matched: Readonly<Record<string, DiskFacts>>,
  mirrors: Readonly<Record<string, string[]>>,
): Planned {
  const { storage } = inputs.spec;
  const plan = deployPlan(inputs, { facts, disks: matched, mirrors });
  const planDigest = digestOf(plan);
  const { base } = inputs;
  return {
    plan,
    planDigest,
    ...(base && { powerCut: rescueLine(rescuePlace({ ...inputs, base, facts, disks: matched })) }),
    order: {
      version: 1,
      definition: inputs.definition,
      planDigest,
      disks: Object.entries(matched).map(([name, disk]) => identityOf(name, disk)),
      mirrors,
      keepers: remoteKeepers(inputs.keepers ?? keepersFor(inputs, {})),
      secrets: [...new Set([...Object.keys(inputs.spec.secrets), ...inputs.secrets.keys()])],
    },
    apt: aptOrigins(inputs.spec, facts.mirrors, mirrors),
    fates: storage === undefined ? [] : diskFates(storage, matched),
    disks: Object.entries(matched).map(([name, disk]) => ({
      name,
      ...tableOf(name, storage, deploySeed(inputs.definition, facts)),
      serial: disk.serial ?? null,
      ...(disk.wwn === undefined ? {} : { wwn: disk.wwn }),
      ...pathOf(name, disk),
      model: disk.model ?? null,
      sizeBytes: disk.sizeBytes,
      action: "table" in (storage?.disks[name] ?? {}) ? ("written" as const) : ("kept" as const),
    })),
  };
}

function aptOrigins(
  { system }: Spec,
  own: Facts["mirrors"],
  mirrors: Readonly<Record<string, string[]>>,
): AptOrigin[] {
  return ["debian", "debian-security"].flatMap((archive): AptOrigin[] => {
    const url = aptMirror(mirrors, archive);
    if (url === undefined) return [];
    const isHosts = own.some((mirror) => mirror.archive === archive && mirror.url === url);
    const from =
      system.mirror !== undefined ? "the definition" : isHosts ? "the host's own sources" : "this machine";
    return [{ archive, url, from }];
  });
}

/** What the disk can be matched by when the deploy is done. */
function tableOf(name: string, storage: Spec["storage"], seed: string): { tableUuid?: string } {
  const disk = storage?.disks[name];
  return disk !== undefined && "table" in disk ? { tableUuid: tableId(disk, seed, name) } : {};
}

function pathOf(name: string, disk: DiskFacts): { path?: string } {
  const { path } = identityOf(name, disk);
  return path === undefined ? {} : { path };
}
