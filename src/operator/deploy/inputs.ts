import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { keepersFor, withStores } from "../../debian/archive/keepers.ts";
import { mirrorsInSources } from "../../debian/archive/mirrors.ts";
import type { Keepers } from "../../debian/http/places.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { type HardwareOptions, onHardware, parseHardware } from "../../storage/match/other-hardware.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { connect, publicKeysHeld } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { buildBase } from "../base/base.ts";
import type { HostRecord } from "../definition/host-records.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { openDefinition } from "../lock/open-definition.ts";
import { checkSecretContents } from "../plan/check-secrets.ts";
import { recordDeploy } from "../records/known-deploys.ts";
import { measuredBefore, noteMeasured } from "../records/measured.ts";
import { wasTried } from "../records/rehearsal-record.ts";
import { type RevealOptions, recipientsOf, revealSecrets, secretKeys } from "../secrets/secrets.ts";
import { loadersOf } from "../secure-boot/loaders.ts";
import { onlyHere } from "../store/only-here.ts";
import type { WayName } from "../takeover/ways/way.ts";
import type { BuildOn } from "../tree/build-on.ts";
import { treesHere } from "../tree/trees.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/** What a command hands down of the outside world. */
export interface Outside extends Surroundings {
  readonly interactive: boolean;
  askSecret(question: string): Promise<Secret>;
}

/** How to log in, as the command line says it. */
export interface LoginOptions {
  readonly sshConfig?: string;
  readonly sshKey?: readonly string[];
  readonly knownHosts?: string;
  /** What the repository says of the host. */
  readonly record?: HostRecord | undefined;
}

/** Bounds of the waits on ordinary hardware, in milliseconds. */
const waits = { base: 300_000, build: 3_600_000, boot: 600_000 } as const;
/** The build that restores data: it may be terabytes. */
const restoreMs = 7 * 24 * 3_600_000;

export interface DeployOptions extends RevealOptions, HardwareOptions, Pick<LoginOptions, "record"> {
  readonly deadManSeconds: number;
  readonly slow: number;
  readonly buildOn?: BuildOn | undefined;
  readonly keepAccess?: boolean;
  readonly ignoreClock?: boolean;
  readonly login?: string;
  readonly baseCmdline?: readonly string[];
  readonly takeover?: WayName;
  readonly withoutSecrets?: boolean;
  readonly acceptDegraded?: boolean;
  /** Its data is restored from the backup. */
  readonly restore?: boolean;
  /** A store's directory, which is asked first and filled. */
  readonly store?: string;
}

/** With the definition's directory, and all that keep its packages. */
interface LoadedInputs extends DeployInputs {
  readonly dir: string;
  readonly keepers: Keepers;
}

/** Loads all that a deploy starts from; nothing of the host is asked. `plan` needs no secrets, so it reveals none. */
export async function deployInputs(
  path: string,
  host: string,
  options: DeployOptions,
  outside: Outside,
): Promise<LoadedInputs> {
  const inputs = await definitionInputs(path, host, options, outside);
  const env = withStores(inputs.keepers, outside.env);
  const along = await onlyHere(inputs.lock.packages, inputs, outside);
  const debs = new Map([...inputs.debs, ...along]);
  return { ...inputs, debs, base: await buildBase({ ...outside, env }) };
}

/** The same without the base, which is made anew where this machine has none. */
export async function definitionInputs(
  path: string,
  host: string,
  options: DeployOptions,
  outside: Omit<Outside, "cache" | "signal">,
): Promise<Omit<LoadedInputs, "base">> {
  const { env, log } = outside;
  const { record } = options;
  const hardware = parseHardware(options);
  const definition = await openDefinition(path, {
    ...{ log, host: record },
    check: ({ spec }) => requireStorage(spec, path),
  });
  const { lock, files, links, digest } = definition;
  const spec = onHardware(definition.spec, hardware);
  const openSecrets = () =>
    log.task("opening the secrets", async () => {
      const opened = await revealSecrets(definition, secretKeys(options, outside));
      checkSecretContents(spec, opened);
      return opened;
    });
  const { slow } = options;
  return {
    host,
    dir: definition.dir,
    spec,
    lock,
    definition: digest,
    tried: await wasTried(env, digest),
    files,
    links,
    debs: await localDebs(definition.dir, lock),
    secrets: new Map(),
    recipients: await recipientsOf(definition),
    openSecrets: options.withoutSecrets ? undefined : openSecrets,
    mirrors: await mirrorsFor(spec, env),
    buildOn: options.buildOn,
    filesDir: definition.filesDir,
    ownMirrors: await mirrorsFor(spec, env, definition.dir),
    keepers: keepersFor(definition, env),
    login: options.login ?? record?.login,
    pinned: record?.hostKeys !== undefined,
    mayWipe: record?.mayWipe,
    deadManSeconds: options.deadManSeconds,
    keepAccess: options.keepAccess === true,
    ignoreClock: options.ignoreClock === true,
    baseCmdline: options.baseCmdline ?? [],
    takeover: options.takeover,
    slow,
    ...(options.restore === undefined ? {} : { restore: options.restore }),
    ...(options.acceptDegraded === undefined ? {} : { acceptDegraded: options.acceptDegraded }),
    waitMs: {
      base: waits.base * slow,
      build: (options.restore ? restoreMs : waits.build) * slow,
      boot: waits.boot * slow,
    },
  };
}

/** What has storage has boot, by its check. */
export function requireStorage({ storage }: Spec, path: string): void {
  if (storage === undefined) throw new Fail(`${path} has no storage, so it cannot be deployed`);
}

/** The .deb files beside the definition, by their paths in the lock, which has been compared with them. */
export async function localDebs(dir: string, lock: Lock): Promise<ReadonlyMap<string, Uint8Array>> {
  const local = lock.packages.filter(({ archive }) => archive === localArchive);
  const read = local.map(async ({ path }) => [path, await readFile(join(dir, path))] as const);
  return new Map(await Promise.all(read));
}

/** The outside world of a deploy: how the host is reached, and who confirms. */
export function deployWorld(
  host: string,
  login: LoginOptions,
  outside: Outside,
  confirm: DeployWorld["confirm"],
): DeployWorld {
  const { env, log, signal } = outside;
  const how = {
    home: env.HOME || homedir(),
    log,
    signal,
    ...(login.sshConfig === undefined ? {} : { sshConfigFile: login.sshConfig }),
    ...(login.record?.hostKeys === undefined ? {} : { pins: login.record.hostKeys }),
    ...(login.knownHosts === undefined ? {} : { knownHostsFiles: [login.knownHosts] }),
    ...(login.sshKey === undefined ? {} : { keyFiles: [...login.sshKey] }),
    ...(env.SSH_AUTH_SOCK === undefined ? {} : { agent: env.SSH_AUTH_SOCK }),
    ...(outside.interactive
      ? { askPassphrase: (file: string) => outside.askSecret(`Passphrase of ${file}: `) }
      : {}),
  };
  return {
    log,
    signal,
    now: Date.now,
    connect: (options) => connect(host, { ...how, ...options }),
    publicKeys: () => publicKeysHeld(how, host),
    mirrorsIn: mirrorsInSources,
    confirm,
    record: (known) => recordDeploy(env, host, known),
    trees: treesHere(outside),
    loaders: (inputs) =>
      log.task("reading the bootloader's signatures", () =>
        loadersOf(inputs, {
          ...outside,
          mirrors: inputs.ownMirrors ?? inputs.mirrors,
          keepers: inputs.keepers,
        }),
      ),
    measured: {
      before: () => measuredBefore(env, host),
      note: (now) => noteMeasured(env, host, now),
    },
    password: outside.interactive ? () => outside.askSecret(`Password for sudo on ${host}: `) : undefined,
  };
}
