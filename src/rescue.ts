import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "./operator/inspect/inspect.ts";
import type { Planned } from "./operator/plan/planned.ts";
import { sealSecrets } from "./operator/runner-link/payload.ts";
import { checkMedium, mountMedium } from "./rescue/check-medium.ts";
import { Consoles } from "./rescue/consoles.ts";
import { converse } from "./rescue/dialogue.ts";
import { hostKeyShown, hostKeysFor } from "./rescue/host-keys.ts";
import { cardsHere, networkFor } from "./rescue/network.ts";
import { type OpenMedium, openMedium } from "./rescue/open-medium.ts";
import { type Opened, openAlone, openSecrets, tryIdentity } from "./rescue/open-secrets.ts";
import { planRecovery, withMachineId } from "./rescue/plan-recovery.ts";
import { reachedAt, reachedLines } from "./rescue/reached.ts";
import { SentIdentity, serveIdentity } from "./rescue/sent-identity.ts";
import { openConsoles, serveConsoles } from "./rescue/ttys.ts";
import { identityFromSeed } from "./secrets/seal.ts";
import { run } from "./system/run/run.ts";
import type { Fetched } from "./target/context.ts";
import { restart } from "./target/machine.ts";
import { restoreNetwork } from "./target/network.ts";
import { workThroughPlan } from "./target/work.ts";
import type { Host } from "./transport/host.ts";
import { Fail, messageOf } from "./util/fail.ts";
import { type Log, plainLog } from "./util/log.ts";

const stateDir = "/run/imgbuild";
const offMs = 30_000;
/** Until the dialogue begins; the network goes on by itself. */
const networkMs = 30_000;
const waitMs = { stop: 30_000, restart: 120_000 };

void start().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

/** The entry of a rescue medium's base: what it needs is under /run/imgbuild, put there by the boot entry's initramfs. */
async function start(): Promise<void> {
  // What a library does is nothing for the consoles.
  process.noDeprecation = true;
  const consoles = new Consoles();
  await openConsoles(consoles);
  serveConsoles(`${stateDir}/rescue.sock`, consoles);
  const log = plainLog({ write: (text) => consoles.print(text.trimEnd()) }, Date.now);
  const open = await openMedium(stateDir, readFileSync("/proc/cmdline", "utf8")).catch(
    async (error: unknown) => {
      consoles.print(`The medium cannot be used: ${messageOf(error)}`);
      if (error instanceof Fail && error.hint !== undefined) consoles.print(error.hint);
      await consoles.ask("Press Enter to restart. ");
      return await restart(false);
    },
  );
  const sent = new SentIdentity();
  serveIdentity(`${stateDir}/identity.sock`, async (text) => {
    await tryIdentity(open, text);
    sent.take(text);
    consoles.print("An identity came over SSH; it opens the secrets.");
    return "it opens the secrets; go on at the console";
  });
  await setUpNetwork(open, log);
  const reached = () => reachedAt(stateDir);
  const { volume } = open.medium;
  let mounted: string | undefined;
  const medium = async (inner: Log) => {
    if (volume !== undefined) mounted ??= await mountMedium(volume, inner);
    return mounted;
  };
  await converse({
    consoles,
    open,
    waitMs,
    look: async (said) => {
      const facts = await inspect(thisMachine, "none", () => [], new AbortController().signal);
      return { facts, recovery: planRecovery(open, facts, open.medium.tree && (await medium(log)), said) };
    },
    reached: async () => reachedLines(await reached()),
    openSecrets: () => openSecrets(open, { consoles, sent, reached }),
    openAlone: () => openAlone(open, { consoles }),
    rebuild: async (planned, opened) => {
      await log.task("checking the medium", async (inner) => {
        const directory = await medium(inner).catch((error: unknown) => {
          // All that is used is in memory already: a program that starts images may hide the medium from us.
          if (open.medium.tree !== undefined) throw error;
          inner.warn(`${messageOf(error)}; the base and what came with it are checked all the same`);
          return undefined;
        });
        await checkMedium(open.medium, directory, inner);
      });
      return await rebuild(open, planned, opened, log);
    },
    restart: () => restart(true),
    powerOff: async () => {
      await run(["sync"], { timeoutMs: offMs }).catch(() => {});
      await run(["busybox", "poweroff", "-f"], { timeoutMs: offMs });
      return await restart(true);
    },
  });
}

const thisMachine: Pick<Host, "name" | "exec"> = {
  name: "this machine",
  exec: (argv, { root: _root, maxBytes: _most, ...options } = {}) => run(argv, options),
};

/** DHCP goes on by itself; a network that cannot be set up is no reason to say nothing. */
async function setUpNetwork(open: OpenMedium, log: Log): Promise<void> {
  const { replay, left } = networkFor(open.spec, cardsHere());
  if (left.length > 0)
    log.warn(
      `of the definition's network ${left.join(", ")} cannot be set up here; the cards ask for addresses by DHCP`,
    );
  const set = restoreNetwork(replay, log).catch((error: unknown) => log.warn(messageOf(error)));
  // What asks by DHCP may wait long for a server.
  await Promise.race([set, sleep(networkMs)]);
}

/** As the runner does it after GO. Gives how one logs in to the system. */
async function rebuild(
  open: OpenMedium,
  planned: Planned,
  opened: Opened,
  log: Log,
): Promise<readonly string[]> {
  const { keys, from } = await hostKeysFor(open.spec, opened.secrets);
  if (from === "new") log.info("the system gets new SSH host keys: those of before are not on the medium");
  const hostKey = await hostKeyShown(keys);
  const secrets = new Map([...opened.secrets, ...keys]);
  const { identity, recipient } = await identityFromSeed(randomBytes(32));
  const sealed = await sealSecrets(recipient, secrets);
  const plan = withMachineId(planned.plan, opened.machineId);
  const fetched: Fetched = { packages: 0, bytes: 0 };
  await workThroughPlan({
    order: { ...planned.order, secrets: [...secrets.keys()] },
    files: new Map([...open.carried, ["plan.json", Buffer.from(JSON.stringify(plan))]]),
    ...{ identity, sealed: [sealed], log, fetched, nonce: randomBytes(32).toString("hex") },
    ponr: () => log.info("from here on the disks are written"),
    signal: new AbortController().signal,
  });
  const users = Object.entries(open.spec.users).filter(([, { keys }]) => keys.length > 0);
  return [
    `its SSH host key is ${hostKey}`,
    ...(users.length === 0 ? [] : [`log in over SSH as ${users.map(([name]) => name).join(" or ")}`]),
  ];
}
