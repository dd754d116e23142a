import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { JournalEntry } from "../../schema/journal.ts";
import type { Host } from "../../transport/host.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { replayJournal } from "../runner-link/journal-log.ts";
import { sealSecrets } from "../runner-link/payload.ts";
import { greet, LinkLost, type RunnerLink, runnerSocket } from "../runner-link/runner-link.ts";
import { secretsLeft } from "../runner-link/secrets-left.ts";
import { hostKeysFor } from "./host-keys.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./state.ts";
import { whoAnswers } from "./who-answers.ts";

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
    const { state: now, message, hint } = link.hello;
    if (now === "failed")
      throw new Fail(`the base refuses: ${message ?? "no reason given"}`, {
        hint: `${hint === undefined ? "" : `${hint}; `}no disk was written; the base returns to the old system by itself`,
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
  const sayGo = async ({ hello, send }: RunnerLink) => {
    const sealed = await sealSecrets(hello.recipient, bundle);
    state.bytes.payload += sealed.length;
    state.went = true;
    send({ type: "go", planDigest, sealed });
  };
  await sayGo(link);
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
        const following = link.follow(seen, onEntry, { open: () => openRunner(state), slow: inputs.slow });
        state.baseReport = await within(following, until - world.now(), () => link.close());
        break;
      } catch (error) {
        world.signal.throwIfAborted();
        if (!(error instanceof LinkLost) || world.now() > until) throw error;
        world.log.warn(`${error.message}; attaching again`);
        link.close();
        const again = await attachAgain(inputs, state, world, until);
        if (again === undefined) return;
        link = again;
        // It was lost on its way.
        if (link.hello.state === "waiting") await sayGo(link);
      }
    }
  } finally {
    show.end();
  }
  const report = state.baseReport;
  state.ponr = report.ponr;
  if (report.outcome === "failed") {
    link.close();
    const left = secretsLeft(report, inputs.host, world.now());
    const next = report.ponr
      ? `the base stays reachable; when the cause is mended: imgbuild resume ${inputs.host}${left === undefined ? "" : `; ${left}`}`
      : "no disk was written";
    throw new Fail(`the runner failed: ${report.message ?? "no reason given"}`, {
      hint: report.hint === undefined ? next : `${report.hint}; ${next}`,
    });
  }
  link.send({ type: "restart" });
  await sleep(500);
  link.close();
  state.base?.close();
}

/** Reads what must survive the old system; called while it still answers. */
export async function keepIdentity(
  inputs: DeployInputs,
  state: DeployState,
  log: DeployWorld["log"],
): Promise<void> {
  state.hostKeySecrets = await hostKeysFor(inputs, state, log);
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
    // We may have missed the first write, and all that came after it; the new system's mark tells.
    if (!(error instanceof OtherSystem) || !(error.isNew || state.ponr === true)) throw error;
    world.log.warn("the machine restarted before its report came; the system that answers is asked instead");
    return undefined;
  }
}

/** Another system answers than the base, in another boot than the one that was left. */
class OtherSystem extends Fail {
  readonly isNew: boolean;

  constructor(isNew: boolean, cause: unknown) {
    super(isNew ? "the new system runs already" : "the old system came back instead of the base", {
      cause,
      hint: isNew
        ? "the build went to its end while nobody watched; log in and look"
        : "nothing was written; the console's log and the base's dead-man timer tell more",
    });
    this.isNew = isNew;
  }
}

async function attach(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
  timeoutMs: number,
): Promise<RunnerLink> {
  const until = world.now() + timeoutMs;
  let last: unknown;
  let stayed = false;
  while (world.now() < until) {
    world.signal.throwIfAborted();
    try {
      state.base?.close();
      state.base = await connectBase(state, world);
      const link = await greet(await openRunner(state), greetMs);
      if (link.hello.nonce !== state.deploy?.nonce)
        throw new Fail("the base that answers is not the one of this deploy", {
          hint: "its nonce is another",
        });
      // An interruption must not wait for what the runner says next.
      world.signal.addEventListener("abort", () => link.close(), { once: true });
      return link;
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      last = error;
      stayed = await otherAnswers(inputs, state, world, error);
    }
    await sleep(tryEveryMs);
  }
  const waited = `within ${Math.round(timeoutMs / 1000)} s`;
  if (stayed)
    throw new Fail(`the host did not leave its old system ${waited}`, {
      hint: "`journalctl -b -u kexec` and dmesg on the host may say why kexec did not happen",
    });
  throw new Fail(`the base did not answer ${waited}: ${messageOf(last)}`, {
    hint:
      state.went === true
        ? `the runner may go on without you: imgbuild follow ${inputs.host}`
        : `without GO it returns to the old system after ${inputs.deadManSeconds} s`,
  });
}

/** Ends the waiting where another system answers; true when the old one does, in the boot that it was to leave. */
async function otherAnswers(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
  cause: Fail,
): Promise<boolean> {
  try {
    const { host, which } = await whoAnswers(inputs, state, world);
    host.close();
    if (which === "old, never left") return true;
    throw new OtherSystem(which === "new", cause);
  } catch (error) {
    if (error instanceof OtherSystem || !(error instanceof Fail)) throw error;
    return false;
  }
}

async function openRunner({ base }: DeployState): Promise<Duplex> {
  if (base === undefined) throw new Fail("the base is not connected");
  return await base.openStreamLocal(runnerSocket);
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
