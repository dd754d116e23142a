import { Fail, messageOf } from "../../util/fail.ts";
import type { System } from "../deploy/who-answers.ts";
import type { DeployWorld } from "../deploy/world.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import type { RunnerLink } from "../runner-link/runner-link.ts";
import { takeBack } from "../takeover/takeover.ts";
import { BaseGone, reachBase } from "./base-gone.ts";
import { waitForReturn } from "./who-is-back.ts";

const connectMs = 20_000;

/** Sends a host back to its old system, and waits until that answers; a Fail says what is known where it does not. */
export async function abortDeploy(known: KnownDeploy, world: DeployWorld): Promise<void> {
  try {
    const base = await reachBase(known, world, "abort");
    try {
      await world.log.task("returning to the old system", (log) =>
        sendBack(base.link, known, { ...world, log }),
      );
    } finally {
      base.close();
    }
  } catch (error) {
    if (!(error instanceof BaseGone) || error.which !== "old") throw error;
    world.log.info("the base had returned already");
  }
  if (known.left !== undefined) await clearUp(known.left, known, world);
}

/** The old system answers, and has what a boot entry needed. */
async function clearUp(
  left: NonNullable<KnownDeploy["left"]>,
  { host }: KnownDeploy,
  world: DeployWorld,
): Promise<void> {
  try {
    const old = await world.connect({ timeoutMs: connectMs });
    try {
      await takeBack(old, left, world.log);
    } finally {
      old.close();
    }
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    world.log.warn(`${left.what} on ${host}: ${left.remedy} (${messageOf(error)})`);
  }
}

async function sendBack(link: RunnerLink, known: KnownDeploy, world: DeployWorld): Promise<void> {
  const { host } = known;
  const returning = await link.abort();
  link.close();
  if (returning) world.log.info("the base restarts into the old system");
  else world.log.warn("the base did not answer; looking for the old system");
  let which: System;
  try {
    which = await waitForReturn(known, world);
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const what = returning
      ? "the base has restarted, but"
      : "it is not known whether the base took the abort:";
    throw new Fail(`${what} ${messageOf(error)}`, {
      cause: error,
      hint: `look at the machine's console; \`imgbuild follow ${host}\` says whether the base still runs, and \`imgbuild abort ${host}\` asks it again`,
    });
  }
  if (which === "new")
    throw new Fail("the new system answers: the deploy went on to its end", {
      hint: `\`imgbuild follow ${host}\` has it prove itself`,
    });
}
