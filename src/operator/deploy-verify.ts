import { setTimeout as sleep } from "node:timers/promises";
import { markPath } from "../steps/finish-tree.ts";
import { checkHealth } from "../system/health.ts";
import type { Host } from "../transport/host.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./deploy-run.ts";
import { undo } from "./takeover.ts";
import { newSystem, whoAnswers } from "./who-answers.ts";

const tryEveryMs = 2_000;
const connectMs = 20_000;
const smallMs = 30_000;

/** Waits for the new system, proves that it is the one just built, and runs its health checks. */
export async function verifyNewSystem(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<void> {
  const host = await waitFor(inputs.waitMs.boot, world, "the new system", () =>
    connectNew(inputs, state, world),
  );
  state.fresh = host;
  state.firstNewAnswer = world.now();
  const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
  if (!mark.stdout.includes(state.deploy?.nonce ?? "-"))
    throw new Fail("the system that answers is not the one just built", {
      hint: "it carries no mark of this deploy: the firmware may have started another disk",
    });
  const { stdout } = await host.exec(["cat", "/proc/sys/kernel/random/boot_id", "/etc/os-release"], {
    timeoutMs: smallMs,
  });
  state.newBootId = stdout.split("\n")[0]!;
  state.newOs = /^PRETTY_NAME="?([^"\n]*)/m.exec(stdout)?.[1] ?? "unknown";
  world.log.info(`${state.newOs} answers with the pinned host key and this deploy's mark`);
  if (state.newHostKeys !== undefined)
    world.log.info(
      `for known_hosts, in place of the old keys: ${inputs.host} ${state.newHostKeys.join(" ")}`,
    );
  const by = await host.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
  const results = await checkHealth(
    inputs.spec.health,
    {
      run: (argv, options) =>
        host.exec(argv, {
          root: by !== "impossible",
          accept: Array.from({ length: 256 }, (_none, code) => code),
          timeoutMs: options?.timeoutMs ?? smallMs,
        }),
    },
    { log: world.log, signal: world.signal, slow: inputs.slow },
  );
  state.health = results;
}

/** After a failure before any write that we know of: waits until the old system answers again, in whatever boot. */
export async function waitForOldSystem(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<boolean> {
  const boundMs = inputs.deadManSeconds * 1000 + inputs.waitMs.boot;
  try {
    const { host, which } = await waitFor(boundMs, world, "the old system", () =>
      whoAnswers(inputs, state, world),
    );
    try {
      if (which === "new") {
        world.log.warn("the new system answers: the runner went on without us");
        return false;
      }
      if (which === "old, never left") await takeBack(host, world);
    } finally {
      host.close();
    }
    world.log.info("the old system answers, as it was");
    return true;
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    world.log.warn(messageOf(error));
    return false;
  }
}

/** A kernel that is loaded and was never started would be at the next restart. */
async function takeBack(host: Host, world: DeployWorld): Promise<void> {
  await host.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
  await undo(host);
}

async function connectNew(inputs: DeployInputs, state: DeployState, world: DeployWorld): Promise<Host> {
  return await world.connect({ timeoutMs: connectMs, ...newSystem(inputs, state) });
}

async function waitFor<T>(
  boundMs: number,
  world: DeployWorld,
  what: string,
  connect: () => Promise<T>,
): Promise<T> {
  const until = world.now() + boundMs;
  let last: unknown;
  while (world.now() < until) {
    world.signal.throwIfAborted();
    try {
      return await connect();
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      last = error;
    }
    await sleep(tryEveryMs);
  }
  throw new Fail(`${what} did not answer within ${Math.round(boundMs / 1000)} s: ${messageOf(last)}`, {
    hint: "look at the machine's console; the deploy's report says what was done",
  });
}
