import type { Report } from "../../schema/report.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { undo } from "../takeover/takeover.ts";
import { buildInBase } from "./build.ts";
import { confirmPlan, makeTree } from "./confirm.ts";
import { keepIdentity } from "./host-keys.ts";
import { inspectAndPlan } from "./inspect.ts";
import { newTrail, runPhase, type Trail } from "./phases.ts";
import { type Proof, unhealthy } from "./prove.ts";
import { downtimeOf, reportOf } from "./report.ts";
import { shipAndTakeOver } from "./ship.ts";
import { waitForBase } from "./take-over.ts";
import { verifyNewSystem, waitForOldSystem } from "./verify.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/**
 * Redeploys one host. Resolves with the report for every outcome, which the report names; bugs are thrown, and so
 * is an interruption, both after the old system was left as it was found where nothing irrevocable had happened.
 */
export async function deploy(inputs: DeployInputs, world: DeployWorld): Promise<Report> {
  const trail = newTrail();
  const began = world.now();
  const finish = (outcome: Report["outcome"], error?: unknown) =>
    reportOf(inputs, trail, { outcome, error, began, now: world.now() });
  try {
    const problem = unhealthy((await throughPhases(inputs, world, trail)).health);
    if (problem === undefined) return finish("done");
    if (!inputs.acceptDegraded) return finish("failed", problem);
    world.log.warn(`accepted as it is: ${problem.message}`);
    return finish("done", problem);
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    if (error.exitCode === exitCodes.interrupted) throw interruption(inputs, trail, error);
    return finish(await outcomeOf(error, inputs, world, trail), error);
  }
}

/** A deploy, phase by phase: each takes what those before it gave. */
async function throughPhases(inputs: DeployInputs, world: DeployWorld, trail: Trail): Promise<Proof> {
  const phase = <T>(name: string, doing: string, run: (world: DeployWorld) => Promise<T>) =>
    runPhase(name, doing, { world, trail }, run);
  try {
    const inspected = await phase("inspect", `inspecting ${inputs.host}`, (inner) =>
      inspectAndPlan(inputs, inner, trail),
    );
    const ready =
      inspected.verdict === "go" && inspected.tree !== undefined && inspected.room === undefined
        ? await phase("tree", "making the tree on this machine", (inner) =>
            makeTree(inputs, inspected, inner),
          )
        : inspected;
    const confirmed = await phase("confirm", "asking for confirmation", (inner) =>
      confirmPlan(inputs, ready, inner),
    );
    const shipped = await phase("ship", "shipping base and payload, loading the base's kernel", (inner) =>
      shipAndTakeOver(inputs, confirmed, inner, trail),
    );
    await phase("takeover", "waiting for the base", (inner) => waitForBase(inputs, shipped, inner, trail));
    await phase("build", "building the system on the target", (inner) =>
      buildInBase(inputs, shipped, inner, trail),
    );
    // The old system is gone, and with it its keys.
    await keepIdentity(inputs, shipped, world);
    const proof = await phase("verify", "waiting for the new system", (inner) =>
      verifyNewSystem(inputs, shipped, inner, trail),
    );
    const seconds = downtimeOf(trail);
    if (seconds !== null)
      await world.measured?.note({ downtimeSeconds: { [shipped.build?.buildOn ?? "target"]: seconds } });
    return proof;
  } finally {
    const touched = trail.last("touched");
    if (touched !== undefined && !trail.has("jumped")) await undo(touched.old);
    trail.last("connected")?.old.close();
  }
}

/** What a failure means for the host, which may have to be waited for. */
async function outcomeOf(
  error: Fail,
  inputs: DeployInputs,
  world: DeployWorld,
  trail: Trail,
): Promise<Report["outcome"]> {
  if (error.exitCode === exitCodes.refused) return "refused";
  const jumped = trail.last("jumped");
  if (jumped === undefined) return trail.has("looked") ? "old-system" : "failed";
  if (trail.has("ponr")) return "failed";
  const isBack = await world.log.task("waiting for the old system", (log) =>
    waitForOldSystem(inputs, jumped.shipped, { ...world, log }, trail.has("go")),
  );
  return isBack ? "old-system" : "failed";
}

/** What an interruption means for the host depends on how far the deploy was. */
function interruption({ host, deadManSeconds }: DeployInputs, trail: Trail, error: Fail): Fail {
  if (!trail.has("jumped")) return error;
  const follow = `the runner goes on without you: imgbuild follow ${host}`;
  const abort = `imgbuild abort ${host}`;
  const beforeWrite = trail.has("go")
    ? `${follow}; until the first write it is taken back by: ${abort}`
    : `without GO the host returns to its old system after ${deadManSeconds} s; at once by: ${abort}`;
  return new Fail(error.message, {
    exitCode: error.exitCode,
    hint: trail.has("ponr") ? follow : beforeWrite,
  });
}
