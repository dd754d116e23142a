import { mkdir, readFile } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import { pathToFileURL } from "node:url";
import { bootPackages } from "../../boot/packages.ts";
import { chooseMirrors, type Mirrors, machineMirrors } from "../../debian/archive/mirrors.ts";
import { keyOf } from "../../debian/archive/seen-release.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { formatLock, lockedVersions, parseLock } from "../../debian/lock/lock.ts";
import { withDateOf } from "../../debian/lock/lock-date.ts";
import { lockRequest, requestDifferences } from "../../debian/lock/lock-request.ts";
import { lockDefinition, unlessSame } from "../../debian/lock/make-lock.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { storagePackages } from "../../storage/system/storage-config.ts";
import type { Env, Surroundings } from "../../system/files/cache.ts";
import { hold } from "../../system/files/file-lock.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { sha256 } from "../../util/digest.ts";
import { during, Fail } from "../../util/fail.ts";
import { type Definition, refuse, wordFor } from "../definition/load.ts";

/** Reasons beyond these are counted only. */
const maxReasons = 6;

export function lockPath(definition: Pick<Definition, "dir">): string {
  return join(definition.dir, "imgbuild.lock.yaml");
}

/** The spec with the packages that its bootloaders and its disks need added to the request. */
export function withImpliedPackages(spec: Spec): Spec {
  const implied = [
    ...bootPackages(spec),
    ...(spec.storage === undefined ? [] : storagePackages(spec.storage, spec.system.suite)),
  ];
  const install = [...new Set([...spec.packages.install, ...implied])].sort();
  return { ...spec, packages: { ...spec.packages, install } };
}

/** Mirrors as this machine would choose them for that definition, and where its repositories and own files are. */
export async function mirrorsFor(spec: Spec, env: Env, dir?: string): Promise<Mirrors> {
  const debian = chooseMirrors({
    definition: spec.system.mirror,
    machine: await machineMirrors(),
    environment: env.IMGBUILD_MIRROR,
  });
  const others = Object.entries(spec.system.repositories ?? {}).map(([name, { url }]) => [
    name,
    [url.replace(/\/+$/, "")],
  ]);
  return {
    ...Object.fromEntries(others),
    ...(dir === undefined ? {} : { [localArchive]: [pathToFileURL(resolvePath(dir)).href] }),
    ...debian,
  };
}

interface MakeLockOptions extends Surroundings {
  readonly offline?: boolean;
  /** Indices older than those that were seen before are taken. */
  readonly allowOlder?: boolean;
  /** The definition's directory. */
  readonly dir?: string;
  /** What stays as it was locked, but for what `update` names. */
  readonly old?: { readonly lock: Lock | undefined; readonly text: string } | undefined;
  readonly update?: "all" | readonly string[];
}

/** Resolves anew; needs the network unless offline. The old lock is given back where no package has changed. */
export async function makeLockFor(spec: Spec, options: MakeLockOptions): Promise<Lock> {
  const { cache, log, signal, env, dir, old, offline = false, update = [] } = options;
  const lockedFrom = new Map(old?.lock?.indices.map((index) => [keyOf(index), index.date]));
  await mkdir(join(cache, "index"), { recursive: true });
  await hold(join(cache, "index"));
  const fresh = await lockDefinition(withImpliedPackages(spec), {
    cache,
    mirrors: await mirrorsFor(spec, env, dir),
    proxies: proxiesOf(env),
    now: new Date(),
    log,
    signal,
    offline,
    lockedFrom,
    allowOlder: options.allowOlder,
    dir,
    update,
    ...(old === undefined ? {} : { locked: lockedVersions(old.text) }),
  });
  return withDateOf(old?.lock, unlessSame(old?.lock, fresh));
}

/** The text of a definition's lock, and the lock where it is one of this imgbuild's; undefined where there is none. */
export async function readOldLock(
  definition: Pick<Definition, "dir">,
): Promise<{ readonly lock: Lock | undefined; readonly text: string } | undefined> {
  const text = await lockText(definition);
  if (text === undefined) return undefined;
  try {
    return { lock: parseLock(text), text };
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return { lock: undefined, text };
  }
}

async function lockText(definition: Pick<Definition, "dir">): Promise<string | undefined> {
  return await readFile(lockPath(definition), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  });
}

/** The definition's lock; one that does not fit is refused, or returned with the reasons. */
export async function readLockFor(
  definition: Definition,
  options: { stale?: "refuse" | "accept" } = {},
): Promise<{ lock: Lock; fresh: boolean; stale: readonly string[] }> {
  const file = lockPath(definition);
  const text = await lockText(definition);
  if (text === undefined)
    throw new Fail(`${file} does not exist`, { hint: `run \`imgbuild lock ${wordFor(definition)}\`` });
  const lock = await during(`reading ${file}`, () => parseLock(text));
  const stale = [
    ...requestDifferences(lock.request, lockRequest(withImpliedPackages(definition.spec))),
    ...(await changedFiles(definition, lock)),
  ];
  if (stale.length > 0 && options.stale !== "accept")
    throw new Fail(`${file} is stale: ${shortened(stale)}`, {
      hint: `run \`imgbuild lock ${wordFor(definition)}\` and look at what changed`,
    });
  if (options.stale !== "accept") requirePackages(definition, lock);
  return { lock, fresh: stale.length === 0, stale };
}

/** What the names of the locked packages say of the definition's values; the tree says the rest when it is made. */
export function requirePackages(definition: Definition, lock: Pick<Lock, "packages">): void {
  const { timezone, health } = definition.spec;
  const needs: [(string | number)[], string, string][] = [];
  if (!/^(Etc\/)?UTC$/.test(timezone)) needs.push([["timezone"], timezone, "tzdata"]);
  for (const [index, check] of health.entries()) {
    if (check.type !== "http" || !check.url.startsWith("https:")) continue;
    const path = ["health", index, "url"];
    needs.push([path, "https, which is asked for on the new system,", "openssl"]);
    if (check.certificate?.trusted === true) needs.push([path, "a trusted certificate", "ca-certificates"]);
  }
  const problems = needs
    .filter(([, , wanted]) => !lock.packages.some(({ name }) => name === wanted))
    .map(([path, what, wanted]) => ({
      path,
      message: `${what} needs the package \`${wanted}\` in packages.install`,
    }));
  if (problems.length > 0) refuse(definition, problems);
}

export async function writeLock(file: string, lock: Lock): Promise<void> {
  await writeWhole(file, formatLock(lock));
}

/** Own .deb files that are not any more what was locked. */
async function changedFiles({ dir }: Definition, lock: Lock): Promise<string[]> {
  const changed: string[] = [];
  for (const { archive, path, sha256: locked } of lock.packages) {
    if (archive !== localArchive) continue;
    const bytes = await readFile(join(dir, path)).catch(() => undefined);
    if (bytes === undefined) changed.push(`${path} is missing`);
    else if (sha256(bytes) !== locked) changed.push(`${path} has changed`);
  }
  return changed;
}

function shortened(reasons: readonly string[]): string {
  const more = reasons.length - maxReasons;
  return [...reasons.slice(0, maxReasons), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}
