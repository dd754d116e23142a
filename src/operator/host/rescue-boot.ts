import type { Host } from "../../transport/host.ts";
import { fingerprintOf } from "../../transport/known-hosts.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { definitionOf } from "../definition/host-records.ts";
import { loadDefinition } from "../definition/load.ts";
import type { Outside } from "../deploy/inputs.ts";
import { waitFor } from "../deploy/prove.ts";
import { runningSystem } from "../deploy/who-answers.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { type Found, findRescue, startOnce } from "../lasting/start-once.ts";
import { type KnownDeploy, knownDeploy } from "../records/known-deploys.ts";
import { hostKeySecret } from "../secrets/host-key-secret.ts";
import { rescueHostKey } from "../secrets/rescue-key.ts";
import { type RevealOptions, revealSecrets, secretKeys } from "../secrets/secrets.ts";

const connectMs = 20_000;
const smallMs = 30_000;

export interface RescueBootOptions extends RevealOptions {
  readonly definition?: string | undefined;
  /** Fingerprint of the rescue system's host key, or the key itself. */
  readonly hostKey?: string;
  readonly port?: number;
  /** Seconds in which the rescue system has to answer. */
  readonly wait: number;
}

type World = Pick<DeployWorld, "connect" | "log" | "now" | "signal" | "password">;

/** The rescue system runs. */
interface Rescued {
  /** By which it is known. */
  readonly pins: readonly string[];
  /** It ran already; nothing was restarted. */
  readonly already: boolean;
}

/**
 * Has a host start the base that stays on it, once, and waits until that answers with the host key by which it is known. `confirm` throws
 * unless the restart is wanted.
 */
export async function rescueBoot(
  host: string,
  options: RescueBootOptions,
  world: World,
  outside: Outside,
  confirm: (found: Found, lines: readonly string[]) => Promise<void>,
): Promise<Rescued> {
  const known = await knownDeploy(outside.env, host).catch((error: unknown) => {
    if (error instanceof Fail) return undefined;
    throw error;
  });
  const pins = await pinsOf(host, options, known, outside);
  const rescue = () => connectToRescue(pins, options, world);
  const system = await runningSystem(known, world).catch(async (error: unknown) => {
    if (!(error instanceof Fail)) throw error;
    const running = await rescue().catch(() => undefined);
    if (running === undefined) throw error;
    running.close();
    return undefined;
  });
  if (system === undefined) return { pins, already: true };
  const found = await arm(system, world, (one) => confirm(one, linesOf(host, one, options, pins))).finally(
    () => system.close(),
  );
  const boundMs = options.wait * 1000;
  const which = await world.log.task(`waiting for the rescue system of ${host}`, () =>
    waitFor(
      boundMs,
      world,
      `the rescue system of ${host}`,
      () => whichAnswers(rescue, () => runningSystem(known, world), found),
      () => {},
    ),
  );
  if (which === "system")
    throw new Fail(`${host} has restarted, and its system answers instead of the rescue system`, {
      exitCode: exitCodes.takenBack,
      hint: "its bootloader passed over the entry or could not start it; the console shows why",
    });
  return { pins, already: false };
}

/** What is going to be done, in lines. */
function linesOf(
  host: string,
  { name, loader }: Found,
  { wait }: RescueBootOptions,
  pins: readonly string[],
): string[] {
  const how = loader === "grub" ? "next_entry in GRUB's grubenv" : "the firmware variable LoaderEntryOneShot";
  return [
    `${host} (${name}) restarts into its rescue system: all its services stop until you leave that`,
    `for one start, by ${how}; the start after it is the system's again`,
    `it has to answer within ${wait} s with the host key ${pins.map(shownKey).join(" or ")}`,
  ];
}

/** A fingerprint as it is, a key by its fingerprint. */
export function shownKey(pin: string): string {
  return pin.startsWith("SHA256:") ? pin : fingerprintOf(pin);
}

async function arm(
  host: Host,
  { log, password }: Pick<World, "log" | "password">,
  confirm: (found: Found) => Promise<void>,
): Promise<Found> {
  await host.becomeRoot(password === undefined ? {} : { askPassword: password });
  const found = await log.task("looking for its rescue system", () => findRescue(host));
  await confirm(found);
  await log.task("restarting", () => startOnce(host, found));
  return found;
}

/** The system may still be on its way down: it counts in another boot alone. */
async function whichAnswers(
  rescue: () => Promise<Host>,
  system: () => Promise<Host>,
  { bootId }: Found,
): Promise<"rescue" | "system"> {
  try {
    (await rescue()).close();
    return "rescue";
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const running = await system().catch((other: unknown) => {
      if (!(other instanceof Fail)) throw other;
      return undefined;
    });
    if (running === undefined) throw error;
    try {
      const { stdout } = await running.exec(["cat", "/proc/sys/kernel/random/boot_id"], {
        timeoutMs: smallMs,
      });
      if (stdout.trim() !== bootId) return "system";
    } finally {
      running.close();
    }
    throw new Fail("the host has not restarted yet");
  }
}

async function connectToRescue(
  pins: readonly string[],
  { port }: RescueBootOptions,
  { connect }: Pick<World, "connect">,
): Promise<Host> {
  const host = await connect({
    user: "root",
    pins,
    timeoutMs: connectMs,
    ...(port === undefined ? {} : { port }),
  });
  const { code } = await host
    .exec(["test", "-e", "/run/imgbuild/rescue.json"], { timeoutMs: smallMs, accept: [0, 1] })
    .catch((error: unknown) => {
      host.close();
      throw error;
    });
  if (code === 0) return host;
  host.close();
  throw new Fail("what answers with its host key is no rescue system");
}

/** By which host keys it is known: the command line, the record of the deploy, the definition's secret. */
async function pinsOf(
  host: string,
  { definition: path, hostKey, ...reveal }: RescueBootOptions,
  known: KnownDeploy | undefined,
  outside: Outside,
): Promise<readonly string[]> {
  if (hostKey !== undefined) return [hostKey];
  const recorded = known?.newSystem.rescue?.pins;
  if (recorded !== undefined) return recorded;
  if (path !== undefined) {
    const definition = await loadDefinition(path, { host: await definitionOf(path, process.cwd()) });
    const name = rescueHostKey(definition.spec);
    if (name !== undefined) {
      const secrets = await revealSecrets(definition, secretKeys(reveal, outside), [name]);
      return [hostKeySecret(name, secrets).public];
    }
  }
  throw new Fail(`nothing says by which host key the rescue system of ${host} is known`, {
    exitCode: exitCodes.usage,
    hint: "it is noted where the host was deployed from; else give --host-key SHA256:..., or --definition DEF whose `boot.rescue` names a secret",
  });
}
