import { setTimeout as sleep } from "node:timers/promises";
import type { JournalEntry } from "../schema/journal.ts";
import type { Host } from "../transport/host.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { hostKeysFor } from "./deploy-plan.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./deploy-run.ts";
import { replayJournal } from "./journal-log.ts";
import { sealSecrets } from "./payload.ts";
import { greet, LinkLost, type RunnerLink, runnerSocket } from "./runner-link.ts";

const tryEveryMs = 2_000;
const connectMs = 20_000;
const greetMs = 60_000;

/** Waits until the base answers with its pinned host key and its runner knows the nonce. Nothing secret is sent yet. */
export async function waitForBase(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<void> {
  const link = await attach(inputs, state, world, inputs.waitMs.base);
  try {
    if (link.hello.state === "failed")
      throw new Fail(`the base refuses: ${link.hello.message ?? "no reason given"}`, {
        hint: "no disk was written; the base returns to the old system by itself",
      });
    if (link.hello.planDigest !== state.planDigest)
      throw new Fail("the base holds another plan than the one confirmed");
    state.baseBootId = link.hello.bootId;
    world.log.info(`the base runs (boot ${link.hello.bootId}) and proved itself by nonce and host key`);
  } finally {
    link.close();
  }
}

/** Sends secrets and GO, follows the journal to the report, and lets the machine restart. */
export async function buildInBase(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<void> {
  const { planDigest } = state;
  if (planDigest === undefined) throw new Error("build before inspect");
  const until = world.now() + inputs.waitMs.build;
  let link = await attach(inputs, state, world, inputs.waitMs.base);
  const bundle = new Map([...inputs.secrets, ...(state.hostKeySecrets ?? [])]);
  const sealed = await sealSecrets(link.hello.recipient, bundle);
  state.bytes.payload += sealed.length;
  link.send({ type: "go", planDigest, sealed });
  const show = replayJournal(world.log);
  let seen = 0;
  const onEntry = (entry: JournalEntry) => {
    seen = entry.seq;
    if (entry.event.type === "ponr") {
      state.ponr = true;
      world.log.info("point of no return: the disks are being written");
    }
    show.entry(entry);
  };
  try {
    for (;;) {
      try {
        state.baseReport = await within(link.follow(seen, onEntry), until - world.now(), () => link.close());
        break;
      } catch (error) {
        if (!(error instanceof LinkLost) || world.now() > until) throw error;
        world.log.warn("the connection to the base was lost; the runner goes on, attaching again");
        link.close();
        const again = await attachAgain(inputs, state, world, until);
        if (again === undefined) return;
        link = again;
      }
    }
  } finally {
    show.end();
  }
  const report = state.baseReport;
  state.ponr = report.ponr;
  if (report.outcome === "failed") {
    link.close();
    throw new Fail(`the runner failed: ${report.message ?? "no reason given"}`, {
      hint:
        report.hint ??
        (report.ponr
          ? `the base stays reachable; when the cause is mended: imgbuild resume ${inputs.host}`
          : "no disk was written"),
    });
  }
  link.send({ type: "restart" });
  await sleep(500);
  link.close();
  state.base?.close();
}

/** Reads what must survive the old system; called while it still answers. */
export async function keepIdentity(inputs: DeployInputs, state: DeployState): Promise<void> {
  state.hostKeySecrets = await hostKeysFor(inputs, state);
}

/** Undefined when the machine has restarted behind the point of no return: then the new system proves itself, or not. */
async function attachAgain(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
  until: number,
): Promise<RunnerLink | undefined> {
  try {
    return await attach(inputs, state, world, Math.min(inputs.waitMs.base, until - world.now()));
  } catch (error) {
    if (!(error instanceof OtherSystem) || state.ponr !== true) throw error;
    world.log.warn("the machine restarted before its report came; the system that answers is asked instead");
    return undefined;
  }
}

/** Something with the old host keys answers, in another boot than the one that was left. */
class OtherSystem extends Fail {}

async function attach(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
  timeoutMs: number,
): Promise<RunnerLink> {
  const until = world.now() + timeoutMs;
  let last: unknown;
  while (world.now() < until) {
    world.signal.throwIfAborted();
    try {
      state.base?.close();
      state.base = await connectBase(state, world);
      const link = await greet(await state.base.openStreamLocal(runnerSocket), greetMs);
      if (link.hello.nonce !== state.deploy?.nonce)
        throw new Fail("the base that answers is not the one of this deploy", {
          hint: "its nonce is another",
        });
      return link;
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      last = error;
      if (await oldSystemAnswers(state, world))
        throw new OtherSystem("the old system came back instead of the base", {
          cause: error,
          hint: "its console log and the base's dead-man timer tell more; nothing was written",
        });
    }
    await sleep(tryEveryMs);
  }
  throw new Fail(`the base did not answer within ${Math.round(timeoutMs / 1000)} s: ${messageOf(last)}`, {
    hint: `without GO it returns to the old system after ${inputs.deadManSeconds} s`,
  });
}

async function connectBase(state: DeployState, world: DeployWorld): Promise<Host> {
  const { baseKey, clientKey } = state;
  if (baseKey === undefined || clientKey === undefined) throw new Error("connect before inspect");
  return await world.connect({
    user: "root",
    pins: [baseKey.public],
    key: clientKey.private,
    timeoutMs: connectMs,
  });
}

/** True when a system with the old host keys answers that is not the boot we left: it restarted by itself. */
async function oldSystemAnswers(state: DeployState, world: DeployWorld): Promise<boolean> {
  if (state.facts === undefined || state.facts.hostKeys.length === 0) return false;
  let host: Host | undefined;
  try {
    host = await world.connect({ pins: state.facts.hostKeys, timeoutMs: connectMs });
    const { stdout } = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: connectMs });
    return stdout.trim() !== state.facts.bootId;
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return false;
  } finally {
    host?.close();
  }
}

async function within<T>(work: Promise<T>, ms: number, onTimeout: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => {
        onTimeout();
        reject(
          new Fail("the build did not end within its bound", { hint: "`imgbuild follow` attaches again" }),
        );
      },
      Math.max(ms, 1),
    );
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
