import type { Host } from "../../transport/host.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { definitionOf } from "../definition/host-records.ts";
import { loadDefinition } from "../definition/load.ts";
import type { Outside } from "../deploy/inputs.ts";
import { waitFor } from "../deploy/prove.ts";
import { runningSystem } from "../deploy/who-answers.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { type KnownDeploy, type KnownInitramfs, knownDeploy } from "../records/known-deploys.ts";
import { hostKeySecret } from "../secrets/host-key-secret.ts";
import { type RevealOptions, revealSecrets, secretKeys } from "../secrets/secrets.ts";
import { unlockBySsh } from "../unlock/by-ssh.ts";
import { givePassphrases, type Passphrases } from "../unlock/give-passphrase.ts";
import { knownInitramfs, wayToInitramfs } from "../unlock/known-initramfs.ts";

const connectMs = 20_000;

export interface UnlockOptions extends RevealOptions {
  readonly definition?: string | undefined;
  /** Fingerprint of the initramfs' host key, or the key itself. */
  readonly hostKey?: string;
  readonly port?: number;
  /** The passphrase is asked for, though there is a definition with secrets. */
  readonly ask?: boolean;
  /** Seconds in which the initramfs has to answer, and then the system. */
  readonly wait: number;
}

type World = Pick<DeployWorld, "connect" | "log" | "now" | "signal">;

/**
 * Opens the root of a host whose initramfs waits for it, and waits until the system answers. The volumes that were opened; undefined where
 * the system runs already.
 */
export async function unlockHost(
  host: string,
  options: UnlockOptions,
  world: World,
  outside: Outside,
): Promise<readonly string[] | undefined> {
  const known = await knownDeploy(outside.env, host).catch((error: unknown) => {
    if (error instanceof Fail) return undefined;
    throw error;
  });
  const { initramfs, passphrases } = await knowledge(host, options, known, outside);
  const boundMs = options.wait * 1000;
  const system = () => runningSystem(known, world);
  const found = await world.log.task(`waiting for the initramfs of ${host}`, () =>
    waitFor(
      boundMs,
      world,
      `the initramfs of ${host}`,
      () => eitherOf(initramfs, system, world),
      (late) => late.host.close(),
    ),
  );
  if (found.is === "system") {
    found.host.close();
    return undefined;
  }
  const opened = await world.log
    .task("giving it the passphrase", (log) =>
      givePassphrases(found.host, passphrases, { ...world, log, again: true }),
    )
    .finally(() => found.host.close());
  await world.log.task("waiting for the system", async () => {
    (await waitFor(boundMs, world, "the system", system, (late) => late.close())).close();
  });
  return opened;
}

/** The system may run already; at the same port it is known by another key. */
async function eitherOf(
  initramfs: KnownInitramfs,
  system: () => Promise<Host>,
  { connect }: Pick<World, "connect">,
): Promise<{ readonly is: "initramfs" | "system"; readonly host: Host }> {
  try {
    return { is: "initramfs", host: await connect({ timeoutMs: connectMs, ...wayToInitramfs(initramfs) }) };
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const running = await system().catch((other: unknown) => {
      if (!(other instanceof Fail)) throw other;
      return undefined;
    });
    if (running === undefined) throw error;
    return { is: "system", host: running };
  }
}

/** By what the initramfs is known, and what opens its volumes: the command line, the record of the deploy, the definition. */
async function knowledge(
  host: string,
  { definition: path, hostKey, port, ask, ...reveal }: UnlockOptions,
  known: KnownDeploy | undefined,
  outside: Outside,
): Promise<{ readonly initramfs: KnownInitramfs; readonly passphrases: Passphrases }> {
  const definition =
    path === undefined
      ? undefined
      : await loadDefinition(path, { host: await definitionOf(path, process.cwd()) });
  const served = definition && unlockBySsh(definition.spec);
  const recorded = known?.newSystem.unlock;
  if (definition !== undefined && served === undefined && recorded === undefined)
    throw new Fail(`${definition.file} opens nothing over SSH`, {
      hint: 'its volume needs `unlock: { type: "ssh" }`',
    });
  const keyName = hostKey === undefined && recorded === undefined ? served?.unlock.hostKey : undefined;
  const names = ask ? [] : (served?.volumes.map(({ key }) => key) ?? []);
  const wanted = [...names, ...(keyName === undefined ? [] : [keyName])];
  const secrets =
    definition === undefined || wanted.length === 0
      ? new Map<string, Secret>()
      : await revealSecrets(definition, secretKeys(reveal, outside), wanted);
  const pin = hostKey ?? (keyName === undefined ? undefined : hostKeySecret(keyName, secrets).public);
  const declared = definition && knownInitramfs(definition.spec, pin);
  const initramfs = declared ?? (pin === undefined ? recorded : { ...recorded, pins: [pin], volumes: {} });
  if (initramfs === undefined)
    throw new Fail(`nothing says by which host key the initramfs of ${host} is known`, {
      exitCode: exitCodes.usage,
      hint: "it is noted where the host was deployed from; else give --host-key SHA256:..., or --definition DEF with the secret of `hostKey`",
    });
  const keys = { ...recorded?.volumes, ...declared?.volumes };
  return {
    initramfs: port === undefined ? initramfs : { ...initramfs, port },
    passphrases: async (volume, tries) => {
      const own = Object.hasOwn(keys, volume) ? secrets.get(keys[volume]!) : undefined;
      if (own !== undefined && tries === 0) return own;
      if (tries > 0 && own !== undefined) outside.log.warn(`the definition's secret does not open ${volume}`);
      return await outside.askSecret(`Passphrase of ${volume} on ${host}: `);
    },
  };
}
