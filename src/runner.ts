import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readPayload } from "./archive/payload.ts";
import { DeployData, Order } from "./schema/deploy.ts";
import type { BaseReport } from "./schema/journal.ts";
import type { Fetched } from "./target/context.ts";
import { identityOfBoot } from "./target/identity.ts";
import { Journal, journalLog } from "./target/journal.ts";
import { bootId, restart, uptime } from "./target/machine.ts";
import { watchMemory } from "./target/memory.ts";
import { restoreNetwork } from "./target/network.ts";
import { openPort } from "./target/port.ts";
import { Runner } from "./target/runner.ts";
import { converse, serve } from "./target/socket.ts";
import { workThroughPlan } from "./target/work.ts";
import { digestOf } from "./util/digest.ts";
import { Fail, messageOf } from "./util/fail.ts";

const stateDir = "/run/imgbuild";

void start().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

/** The target's entry: everything it needs lies under /run/imgbuild, put there by the initramfs. */
async function start(): Promise<void> {
  const file = `${stateDir}/deploy.json`;
  if (!existsSync(file)) {
    console.error("no deploy came with this base; it waits for somebody to log in");
    for (;;) await sleep(2 ** 30);
  }
  const deploy = DeployData.parse(JSON.parse(readFileSync(file, "utf8")));
  const journal = new Journal(`${stateDir}/journal.jsonl`, uptime);
  const log = journalLog(journal);
  const memory = watchMemory();
  const fetched: Fetched = { packages: 0, bytes: 0 };
  const identity = await identityOfBoot(`${stateDir}/identity`);
  await log
    .task("restoring the network", (inner) => restoreNetwork(deploy.network, inner))
    .catch((error: unknown) => {
      // Without a network nobody can come; the dead-man timer brings the old system back.
      journal.add({ type: "warn", message: messageOf(error) });
      console.error(messageOf(error));
    });
  const payload = await checkPayload(deploy);
  const stop = new AbortController();
  const runner = new Runner({
    journal,
    log,
    nonce: deploy.nonce,
    bootId: bootId(),
    recipient: identity.recipient,
    goFile: `${stateDir}/go`,
    payload: "refusal" in payload ? payload : { planDigest: payload.order.planDigest },
    work: (sealed, ponr) => {
      if ("refusal" in payload) throw payload.refusal;
      const { order, files } = payload;
      return workThroughPlan({
        order,
        files,
        identity: identity.identity,
        sealed,
        ponr,
        log,
        signal: stop.signal,
        fetched,
        nonce: deploy.nonce,
      });
    },
    report: (outcome, ponr, error): BaseReport => ({
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
    }),
    restart,
    later: (ms, what) => void setTimeout(what, ms),
  });
  await serve(`${stateDir}/runner.sock`, runner);
  if (deploy.port !== undefined) converse(await openPort(deploy.port), runner);
  else log.info(`waiting for GO, ${Math.max(0, Math.round(deploy.deadManSeconds - uptime()))} s left`);
}

/** Only a payload signed for this deploy is worked on; anything else is a reason to go back. */
async function checkPayload(
  deploy: DeployData,
): Promise<{ order: Order; files: ReadonlyMap<string, Uint8Array> } | { refusal: Fail }> {
  try {
    const { files } = await readPayload(readFileSync(`${stateDir}/payload.tar.gz`), {
      publicKey: deploy.publicKey,
      nonce: deploy.nonce,
      machineId: deploy.machineId,
      // The target's clock may be wrong by years; the nonce binds the payload to this deploy.
      now: undefined,
    });
    const read = (path: string) =>
      JSON.parse(Buffer.from(files.get(path) ?? new Uint8Array()).toString("utf8")) as unknown;
    const order = Order.parse(read("order.json"));
    if (digestOf(read("plan.json")) !== order.planDigest)
      throw new Fail("the plan is not the one that was confirmed");
    return { order, files };
  } catch (error) {
    return {
      refusal: error instanceof Fail ? error : new Fail(`the payload cannot be read: ${messageOf(error)}`),
    };
  }
}
