import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { lastingData, rescuedWord } from "./boot/rescue-entry.ts";
import { cardsHere, networkFor } from "./rescue/network.ts";
import { DeployData } from "./schema/base/deploy.ts";
import type { BaseReport } from "./schema/base/journal.ts";
import { RescueData } from "./schema/base/rescue.ts";
import { writeWhole } from "./system/files/write-whole.ts";
import type { Fetched } from "./target/context.ts";
import { deadManOf } from "./target/dead-man.ts";
import { lostPower } from "./target/failures.ts";
import { identityOfRunner } from "./target/identity.ts";
import { Journal, journalLog } from "./target/journal.ts";
import { bootId, hardware, restart, uptime } from "./target/machine.ts";
import { watchMemory } from "./target/memory.ts";
import { restoreNetwork } from "./target/network.ts";
import { checkDeployData, type OpenedPayload, openPayload } from "./target/open-payload.ts";
import { openPort } from "./target/port.ts";
import { Runner } from "./target/runner.ts";
import { beginTreeDigest } from "./target/shipped-tree.ts";
import { converse, serve } from "./target/socket.ts";
import { runTreeJob } from "./target/tree/tree-job.ts";
import { workThroughPlan } from "./target/work.ts";
import { Fail, messageOf } from "./util/fail.ts";
import { plainLog } from "./util/log.ts";

const stateDir = "/run/imgbuild";
const lastingFile = `${stateDir}/${lastingData}`;
const payloadFile = `${stateDir}/payload.tar.gz`;
/** Exit code by which the shell that keeps the runner running knows that the key is of no use any more. */
const forgotten = 75;
const goFile = `${stateDir}/go`;
/** Of a payload that was brought here later. Nothing of the archive gets to this place: /run is made anew, and only /imgbuild is moved. */
const laterKeyFile = "/run/imgbuild-later.key";

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

/** In the base; or, with the word "tree", beside a system that still runs, as a job that ends. */
async function main(): Promise<void> {
  if (process.argv[2] === "tree") process.exitCode = (await runTreeJob(stateDir)) ? 0 : 1;
  else await start();
}

/** The target's entry: everything it needs is under /run/imgbuild, put there by the initramfs. */
async function start(): Promise<void> {
  if (existsSync(lastingFile)) return await stayAsRescue();
  const file = `${stateDir}/deploy.json`;
  if (!existsSync(file)) {
    console.error("no deploy came with this base; it waits for somebody to log in");
    for (;;) await sleep(2 ** 30);
  }
  const came = readFileSync(file);
  const deploy = DeployData.parse(JSON.parse(came.toString()));
  const journal = new Journal(`${stateDir}/journal.jsonl`, uptime);
  const log = journalLog(journal);
  const memory = watchMemory();
  const fetched: Fetched = { packages: 0, bytes: 0 };
  const identity = await identityOfRunner();
  await log
    .task("restoring the network", (inner) => restoreNetwork(deploy.network, inner))
    .catch((error: unknown) => {
      // Without a network the operator cannot come; the dead-man timer brings the old system back.
      journal.add({ type: "warn", message: messageOf(error) });
      console.error(messageOf(error));
    });
  const stop = new AbortController();
  const runner = new Runner({
    journal,
    log,
    nonce: deploy.nonce,
    rescued: isRescued(),
    bootId: bootId(),
    recipient: identity.recipient,
    goFile,
    ...withPayload(deploy, await payloadOf(deploy, came), {
      ...{ identity: identity.identity, log, signal: stop.signal, fetched },
    }),
    report: reporter(journal, memory, fetched),
    stop: (why) => stop.abort(why),
    deadMan: deadManOf({ directory: stateDir, seconds: deploy.deadManSeconds }),
    restart,
    now: () => uptime() * 1000,
    forget: () => process.exit(forgotten),
    later: (ms, what) => void setTimeout(what, ms),
  });
  await serve(`${stateDir}/runner.sock`, runner);
  if (deploy.port !== undefined) converse(await openPort(deploy.port), runner);
  else if (!isRescued())
    log.info(`waiting for GO, ${Math.max(0, Math.round(deploy.deadManSeconds - uptime()))} s left`);
}

/**
 * The base was started as the machine's rescue system. There is nothing to run: the network is set up, and whoever has a key logs in. No
 * dead man is armed, and this process only stays because it would be started again.
 */
async function stayAsRescue(): Promise<void> {
  const { hostname, network } = RescueData.parse(JSON.parse(readFileSync(lastingFile, "utf8")));
  const log = plainLog({ write: (text) => console.error(text.trimEnd()) }, () => uptime() * 1000);
  const { replay, left } = networkFor({ network }, cardsHere());
  if (left.length > 0) log.warn(`of the definition's network ${left.join(", ")} cannot be set up here`);
  await restoreNetwork(replay, log).catch((error: unknown) => log.warn(messageOf(error)));
  console.error(`rescue system of ${hostname}: log in as root over SSH; \`reboot\` starts the system again`);
  for (;;) await sleep(2 ** 30);
}

type RunnerOptions = ConstructorParameters<typeof Runner>[0];

/** What the runner does with the payload: the one that came, until it is replaced. */
function withPayload(
  deploy: DeployData,
  came: OpenedPayload | { refusal: Fail },
  means: Pick<Parameters<typeof workThroughPlan>[0], "identity" | "log" | "signal" | "fetched">,
): Pick<RunnerOptions, "payload" | "replace" | "work"> {
  let payload = came;
  let treeDigest = "refusal" in came ? undefined : beginTreeDigest(came.order.tree);
  return {
    payload: "refusal" in came ? came : { planDigest: came.order.planDigest },
    replace: async (publicKey, bytes) => {
      const here = { machine: hardware(), now: new Date() };
      const next = await openPayload(bytes, { ...deploy, publicKey }, here);
      // A runner that is started anew finds this one.
      await writeWhole(payloadFile, bytes, 0o600);
      await writeWhole(laterKeyFile, publicKey, 0o600);
      payload = next;
      // Its tree is brought after it.
      treeDigest = undefined;
      return next.order.planDigest;
    },
    work: async (sealed, ponr) => {
      if ("refusal" in payload) throw payload.refusal;
      const { order, files } = payload;
      // Half of what the dead man waits for the first write: there is more to do until then.
      const prefetchMs = (deploy.deadManSeconds * 1000) / 2;
      const own = { nonce: deploy.nonce, prefetchMs, treeDigest };
      await workThroughPlan({ ...means, ...own, order, files, sealed, ponr });
    },
  };
}

function reporter(
  journal: Journal,
  memory: ReturnType<typeof watchMemory>,
  fetched: Fetched,
): RunnerOptions["report"] {
  return (outcome, ponr, error): BaseReport => ({
    outcome,
    ponr,
    bootId: bootId(),
    peakMemoryMib: memory.peakMib(),
    totalMemoryMib: memory.totalMib(),
    fetched: { ...fetched },
    seconds: journal.entries.flatMap(({ event }) =>
      event.type === "end" ? [{ doing: event.doing, seconds: event.seconds }] : [],
    ),
    ...(error === undefined ? {} : { message: messageOf(error) }),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}

/** The base was started from the new disks, in place of a system that is not whole. */
function isRescued(): boolean {
  return commandLine()
    .split(/\s+/)
    .some((word) => word.startsWith(`${rescuedWord}=`));
}

function commandLine(): string {
  return readFileSync("/proc/cmdline", "utf8");
}

/** The payload that came along, or a later one, or why it is none. After GO its time has been judged already. */
async function payloadOf(deploy: DeployData, came: Uint8Array): Promise<OpenedPayload | { refusal: Fail }> {
  try {
    checkDeployData(came, commandLine());
    // No plan is on the disk, nor a secret: both come again.
    if (isRescued() && !existsSync(payloadFile)) return { refusal: lostPower() };
    const publicKey = existsSync(laterKeyFile) ? readFileSync(laterKeyFile, "utf8") : deploy.publicKey;
    const here = { machine: hardware(), now: existsSync(goFile) ? undefined : new Date() };
    return await openPayload(readFileSync(payloadFile), { ...deploy, publicKey }, here);
  } catch (error) {
    return { refusal: error instanceof Fail ? error : new Fail(messageOf(error)) };
  }
}
