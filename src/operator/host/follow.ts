import { setTimeout as sleep } from "node:timers/promises";
import type { BaseReport, JournalEntry } from "../../schema/base/journal.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Trail } from "../deploy/phases.ts";
import { type Proof, proveNewSystem, unhealthy } from "../deploy/prove.ts";
import type { DeployInputs, DeployWorld } from "../deploy/world.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import type { BaseLink } from "../runner-link/base-link.ts";
import { replayJournal } from "../runner-link/journal-log.ts";
import { LinkLost } from "../runner-link/runner-link.ts";
import { howToGoOn, requireSecrets } from "../runner-link/secrets-left.ts";
import { BaseGone, reachBase } from "./base-gone.ts";
import { replan } from "./replan.ts";
import { waitForReturn } from "./who-is-back.ts";

/** How a deploy that was started before is watched. */
export interface Watch {
  readonly world: DeployWorld;
  /** Takes what is for programs, beside the log. */
  readonly emit: (event: Record<string, unknown>) => void;
  /** Failed checks of the new system are no failure. */
  readonly acceptDegraded: boolean;
  /** What is reached, for the report. */
  readonly trail: Trail;
}

/** Follows the runner on a host to the end of its build, and has the new system prove itself. */
export async function followDeploy(known: KnownDeploy, watch: Watch): Promise<Proof> {
  const { log } = watch.world;
  try {
    const base = await reachBase(known, watch.world, "follow");
    try {
      log.info(`the runner is ${base.link.hello.state}`);
      await followToEnd(base, known, watch, 0);
    } finally {
      base.close();
    }
  } catch (error) {
    if (!(error instanceof BaseGone) || error.which !== "new") throw error;
    log.info(error.message);
  }
  return await prove(known, watch);
}

/** Has the runner work through its plan again after a failure, or through that of another definition; then as `followDeploy`. */
export async function resumeDeploy(
  known: KnownDeploy,
  other: DeployInputs | undefined,
  watch: Watch,
): Promise<Proof> {
  const base = await reachBase(known, watch.world, "resume");
  const { link } = base;
  let expected = known;
  try {
    if (other !== undefined) expected = await replan(other, known, base, watch.world);
    else {
      requireSecrets(link.hello, known.host);
      if (link.hello.state === "failed") link.send({ type: "resume" });
    }
    await followToEnd(base, expected, watch, link.hello.seq);
    link.send({ type: "restart" });
    await sleep(500);
  } finally {
    base.close();
  }
  return await prove(expected, watch);
}

/** Shows the journal after `seq` until the report comes; a failure is thrown as one. */
async function followToEnd(
  { link, open }: BaseLink,
  known: KnownDeploy,
  { world, emit, trail }: Watch,
  seq: number,
): Promise<void> {
  trail.mark({ at: "base", bootId: link.hello.bootId });
  const show = replayJournal(world.log);
  const onEntry = (entry: JournalEntry) => {
    show.entry(entry);
    emit({ event: "journal", entry });
  };
  try {
    const quiet = { open, slow: known.newSystem.slow };
    const report = await link.follow(seq, onEntry, quiet).catch((error: unknown) => {
      if (!(error instanceof LinkLost)) throw error;
      throw new Fail(error.message, {
        cause: error,
        hint: "`imgbuild follow` attaches again; before the first write the machine returns to its old system by itself",
      });
    });
    trail.mark({ at: "base report", report });
    emit({ event: "report", report });
    if (report.outcome === "failed") throw await failure(report, known, world);
    world.log.info("the runner is done; the new system starts");
  } finally {
    show.end();
  }
}

/** A build that failed; before the first write the base returns to the old system by itself, which is waited for. */
async function failure(report: BaseReport, known: KnownDeploy, world: DeployWorld): Promise<Fail> {
  const message = `the runner failed: ${report.message ?? "no reason given"}`;
  const { host } = known;
  if (report.ponr)
    return new Fail(message, {
      hint: howToGoOn(report, host, world.now()),
    });
  try {
    await world.log.task("waiting for the old system", () => waitForReturn(known, world));
    return new Fail(message, {
      exitCode: exitCodes.takenBack,
      hint: `no disk was written, and ${host} runs its old system again; when the cause is mended: imgbuild deploy DEF ${host}`,
    });
  } catch (error) {
    if (!(error instanceof Fail) || error.exitCode === exitCodes.interrupted) throw error;
    return new Fail(message, {
      hint: `no disk was written, but ${error.message}; look at the machine's console, and type: imgbuild follow ${host}`,
    });
  }
}

/** A build that is done is so when its system runs: exit code 0 says the same here as after a deploy. */
async function prove({ newSystem, host }: KnownDeploy, watch: Watch): Promise<Proof> {
  const { world, emit, trail } = watch;
  if (newSystem.unlock !== undefined)
    world.log.warn(
      `its root waits for a passphrase, which only the deploy itself has: imgbuild unlock ${host}`,
    );
  const proof = await world.log.task("waiting for the new system", (log) =>
    proveNewSystem(newSystem, { ...world, log }, () => trail.mark({ at: "answered", now: world.now() })),
  );
  trail.mark({ at: "verified", verified: proof });
  const { os, health } = proof;
  const problem = unhealthy(health);
  if (problem !== undefined && !watch.acceptDegraded) {
    emit({ event: "degraded", os, health });
    throw problem;
  }
  emit({ event: "done", os, health });
  if (problem !== undefined) world.log.warn(`accepted as it is: ${problem.message}`);
  return proof;
}
