import type { Finding } from "../operator/inspect/finding.ts";
import { roomOf } from "../operator/inspect/free-space.ts";
import { needsOf } from "../operator/inspect/needs.ts";
import { machineFindings } from "../operator/inspect/preflight.ts";
import { unpackingPlan } from "../operator/plan/plan.ts";
import { type Planned, planFor } from "../operator/plan/planned.ts";
import { splitSecrets } from "../operator/plan/split-secrets.ts";
import { treeLayers } from "../operator/plan/tree.ts";
import type { DiskFacts, Facts } from "../schema/facts.ts";
import type { Plan } from "../schema/plan.ts";
import { stepData } from "../steps/step/step.ts";
import { finishTree } from "../steps/tree/finish-tree.ts";
import { unpackTree } from "../steps/tree/unpack-tree.ts";
import { writeFiles } from "../steps/tree/write-files.ts";
import { matchOrProblem } from "../storage/match/match-disks.ts";
import { onHardware, parseHardware } from "../storage/match/other-hardware.ts";
import { storageConfig } from "../storage/system/storage-config.ts";
import { digestOf } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import type { OpenMedium } from "./open-medium.ts";

/** What a person says besides: disks in place of those of the definition, as `--disk` has them; whether data is restored. */
export interface Said {
  readonly disks: readonly string[];
  readonly restore: boolean;
}

/** What this machine and the medium make of each other. */
export interface Recovery {
  readonly findings: readonly Finding[];
  /** Undefined where something speaks against it. */
  readonly planned: Planned | undefined;
}

/** Pure: the same medium and machine, in the same boot, give the same plan. `mounted`: where the medium's files are. */
export function planRecovery(
  came: OpenMedium,
  facts: Facts,
  mounted: string | undefined,
  said: Said,
): Recovery {
  const { lock, medium } = came;
  const spec = onHardware(came.spec, parseHardware({ disk: said.disks }));
  const open = { ...came, spec, restore: said.restore };
  const match = matchOrProblem(spec.storage, facts.disks);
  const disks = "problem" in match ? undefined : match.matched;
  const findings = machineFindings({
    ...{ spec, facts, disks, needs: needsOf(spec, lock) },
    diskProblem: "problem" in match ? match.problem : undefined,
    room: disks === undefined ? undefined : roomOf(spec, lock, disks),
  });
  if (disks === undefined || findings.some(({ verdict }) => verdict === "no-go"))
    return { findings, planned: undefined };
  const planned = planFor({ ...open, secrets: new Map() }, { ...facts, mirrors: [] }, disks, {
    ...open.mirrors,
  });
  return {
    findings,
    planned: medium.tree === undefined ? planned : unpacking(planned, open, { facts, disks, mounted }),
  };
}

/** The same with the tree that is on the medium. */
function unpacking(
  planned: Planned,
  open: OpenMedium,
  about: {
    readonly facts: Facts;
    readonly disks: Readonly<Record<string, DiskFacts>>;
    readonly mounted: string | undefined;
  },
): Planned {
  const { spec, lock, medium } = open;
  const { tree } = medium;
  if (tree === undefined || spec.storage === undefined || about.mounted === undefined)
    throw new Fail("the medium's tree is not there");
  const whole = treeLayers(spec, lock, {
    storage: storageConfig(spec.storage, tree.seed, spec.secrets),
    ...{ mirrors: open.mirrors, files: open, identity: "image-with-secrets", cmdline: [] },
    packages: new Set(lock.packages.map(({ name }) => name)),
    definition: open.definition,
  });
  const { sealed } = splitSecrets(whole, { secrets: true, hostKeys: true });
  const plan = unpackingPlan(open, {
    ...{ firmware: about.facts.firmware, consoles: spec.boot?.consoles ?? [] },
    ...{ disks: about.disks, seed: tree.seed, sealed },
    archive: { file: `${about.mounted}/${tree.path}`, sizeBytes: tree.sizeBytes },
  });
  const planDigest = digestOf(plan);
  return { ...planned, plan, planDigest, order: { ...planned.order, planDigest }, apt: [] };
}

/** The same for a machine that is known by an id of before: the tree is finished with it, or gets it once it is unpacked. */
export function withMachineId(plan: Plan, machineId: string | undefined): Plan {
  if (machineId === undefined) return plan;
  const file = { path: "/etc/machine-id", content: `${machineId}\n`, mode: "0444" };
  const steps = plan.steps.flatMap((step) => {
    if (step.kind === finishTree.kind) return [{ machineId, ...step }];
    if (step.kind !== unpackTree.kind) return [step];
    return [step, stepData(writeFiles, "giving the machine its id of before", { files: [file] })];
  });
  return { ...plan, steps };
}
