import type { Report } from "../../schema/report.ts";
import { exitCodes, Fail, messageOf } from "../../util/fail.ts";
import { isGo } from "../inspect/preflight.ts";
import { undo } from "../takeover/takeover.ts";
import { buildInBase, waitForBase } from "./build.ts";
import { inspectAndPlan } from "./inspect.ts";
import { unhealthy } from "./prove.ts";
import { shipAndTakeOver } from "./ship.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./state.ts";
import { verifyNewSystem, waitForOldSystem } from "./verify.ts";

/** A phase of a deploy: its name in the report, what the log says it does, and its work. */
interface Phase {
  readonly name: string;
  readonly doing: (inputs: DeployInputs) => string;
  readonly run: (inputs: DeployInputs, state: DeployState, world: DeployWorld) => Promise<void>;
}

const phases: readonly Phase[] = [
  { name: "inspect", doing: (d) => `inspecting ${d.host}`, run: inspectAndPlan },
  { name: "confirm", doing: () => "asking for confirmation", run: confirm },
  { name: "ship", doing: () => "shipping base and payload, loading the base's kernel", run: shipAndTakeOver },
  { name: "takeover", doing: () => "waiting for the base", run: waitForBase },
  { name: "build", doing: () => "building the system on the target", run: buildInBase },
  { name: "verify", doing: () => "waiting for the new system", run: verifyNewSystem },
];

/**
 * Redeploys one host. Resolves with the report whatever the outcome, which the report names; bugs are thrown, and so
 * is an interruption, both after the old system was left as it was found where nothing irrevocable had happened.
 */
export async function deploy(inputs: DeployInputs, world: DeployWorld): Promise<Report> {
  const state: DeployState = {
    bytes: { base: 0, payload: 0 },
    health: [],
    disks: [],
    baseAccess: [],
    sshPort: 22,
  };
  const began = world.now();
  const timeline: { phase: string; seconds: number }[] = [];
  const finish = (outcome: Report["outcome"], error?: unknown) =>
    makeReport(inputs, state, outcome, error, timeline, began, world.now());
  try {
    for (const phase of phases) {
      const start = world.now();
      try {
        await world.log.task(phase.doing(inputs), (log) => phase.run(inputs, state, { ...world, log }));
      } finally {
        timeline.push({ phase: phase.name, seconds: (world.now() - start) / 1000 });
      }
    }
    const problem = unhealthy(state.health);
    if (problem !== undefined && inputs.acceptDegraded)
      world.log.warn(`accepted as it is: ${problem.message}`);
    return problem === undefined || inputs.acceptDegraded
      ? finish("done", problem)
      : finish("failed", problem);
  } catch (error) {
    if (state.jumped !== true && state.old !== undefined && state.touched === true) await undo(state.old);
    if (!(error instanceof Fail)) throw error;
    if (error.exitCode === exitCodes.refused) return finish("refused", error);
    if (error.exitCode === exitCodes.interrupted) throw interrupted(inputs, state, error);
    if (state.jumped !== true) return finish(state.facts === undefined ? "failed" : "old-system", error);
    if (state.ponr === true) return finish("failed", error);
    const back = await world.log.task("waiting for the old system", (log) =>
      waitForOldSystem(inputs, state, { ...world, log }),
    );
    return finish(back ? "old-system" : "failed", error);
  } finally {
    for (const host of [state.fresh, state.base, state.old]) host?.close();
  }
}

/** What an interruption means for the host depends on how far the deploy was. */
function interrupted({ host, deadManSeconds }: DeployInputs, state: DeployState, error: Fail): Fail {
  if (state.jumped !== true) return error;
  const follow = `the runner goes on without you: imgbuild follow ${host}`;
  const hint =
    state.ponr === true
      ? follow
      : state.went === true
        ? `${follow}; until the first write it is taken back by: imgbuild abort ${host}`
        : `without GO the host returns to its old system after ${deadManSeconds} s; at once by: imgbuild abort ${host}`;
  return new Fail(error.message, { exitCode: error.exitCode, hint });
}

async function confirm(inputs: DeployInputs, state: DeployState, world: DeployWorld): Promise<void> {
  const { facts, findings = [], bound, plan, planDigest, disks, apt = [], fates = [] } = state;
  if (!facts || !isGo(findings) || !bound || !plan || planDigest === undefined)
    throw new Fail("the preflight says no-go; nothing was changed", {
      exitCode: exitCodes.refused,
      hint: findings.find((finding) => finding.verdict === "no-go")?.hint ?? "see the findings",
    });
  await inputs.openSecrets?.();
  await world.confirm({ facts, findings, bound, plan, planDigest, disks, apt, fates });
}

function makeReport(
  inputs: DeployInputs,
  state: DeployState,
  outcome: Report["outcome"],
  error: unknown,
  phasesDone: Report["seconds"]["phases"],
  began: number,
  now: number,
): Report {
  const { baseReport, firstNewAnswer, lastOldAnswer } = state;
  return {
    version: 1,
    outcome,
    ...(error === undefined ? {} : { message: messageOf(error) }),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
    host: inputs.host,
    hostname: inputs.spec.hostname,
    definition: inputs.definition,
    planDigest: state.planDigest ?? "",
    started: new Date(began).toISOString(),
    seconds: {
      total: (now - began) / 1000,
      downtime:
        firstNewAnswer === undefined || lastOldAnswer === undefined
          ? null
          : (firstNewAnswer - lastOldAnswer) / 1000,
      phases: phasesDone,
      steps: [...(baseReport?.seconds ?? [])],
    },
    bytes: state.bytes,
    ...(baseReport === undefined ? {} : { fetched: { ...baseReport.fetched, mirror: state.mirror ?? "" } }),
    peakMemoryMib: baseReport?.peakMemoryMib ?? null,
    bootIds: { old: state.facts?.bootId ?? "", base: state.baseBootId ?? null, new: state.newBootId ?? null },
    os: { old: state.facts?.os.name ?? "", new: state.newOs ?? null },
    disks: state.disks,
    preflight: [...(state.findings ?? [])],
    health: [...state.health],
  };
}
