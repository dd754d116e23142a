import { Lock, type LockedPackage } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { canonicalJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { loadIndex } from "../archive/index.ts";
import type { ArchiveOptions } from "../archive/release-file.ts";
import { debianSources, partsOf, type Source } from "../archive/sources.ts";
import { type Candidate, sourceOf } from "../package/candidate.ts";
import { localPackages } from "../package/local.ts";
import { versionsToKeep } from "../resolve/keep-versions.ts";
import { Pool } from "../resolve/pool.ts";
import { parseWanted } from "../resolve/request.ts";
import { type Resolution, resolve } from "../resolve/resolve.ts";
import { inOrder } from "./lock.ts";
import { lockRequest } from "./lock-request.ts";

export interface LockOptions extends ArchiveOptions {
  /** Suites that are looked at; default: those that the definition names, by Debian's keys and its own. */
  readonly sources?: readonly Source[];
  /** The definition's directory, where its own .deb files are. */
  readonly dir?: string | undefined;
  /** Versions that are kept where nothing speaks against it. */
  readonly locked?: ReadonlyMap<string, { readonly version: string; readonly sha256: string }>;
  /** Packages, or sources of packages, that become newest nevertheless; "all" keeps none. */
  readonly update?: "all" | readonly string[];
}

/** Resolves a definition's packages from the signed indices of its suites. */
export async function lockDefinition(
  spec: Pick<Spec, "system" | "packages">,
  options: LockOptions,
): Promise<Lock> {
  const { suite, architecture } = spec.system;
  const { debs = [], pins = [], recommends } = spec.packages;
  const index = await loadIndex(options.sources ?? (await sourcesOf(spec.system)), architecture, options);
  const local = debs.length === 0 ? undefined : await localPackages(options.dir ?? ".", debs, architecture);
  // Files of one's own come before an archive's of the same version.
  const tables = local === undefined ? index.tables : [local.table, ...index.tables];
  const pool = new Pool(tables, { pins, target: targetOf(spec.system) }, architecture);
  const install = [...new Set([...spec.packages.install, ...(local?.asked ?? [])])].sort();
  const result = resolveKeeping(pool, { install, recommends, suite }, options);
  const packages = result.packages.map((locked) => lockedPackage(locked, result));
  return Lock.parse({
    version: 2,
    request: lockRequest(spec),
    indices: index.indices,
    packages: inOrder(packages),
  });
}

/** The old lock where the new one differs only in what was looked at: a lock changes when a package does. */
export function unlessSame(old: Lock | undefined, fresh: Lock): Lock {
  if (old === undefined) return fresh;
  const { indices: _old, ...before } = old;
  const { indices: _fresh, ...after } = fresh;
  return canonicalJson(before) === canonicalJson(after) ? old : fresh;
}

/** The suites that a definition's packages come from, the release first. */
export async function sourcesOf(system: Spec["system"]): Promise<Source[]> {
  const debian = await debianSources([system.suite, ...(system.suites ?? [])], system.components);
  const others = Object.entries(system.repositories ?? {}).map(([archive, { key, ...rest }]) => ({
    archive,
    suite: rest.suite,
    components: rest.components,
    keyring: key,
    fingerprint: rest.fingerprint,
    byRelease: true,
  }));
  return [...debian, ...others];
}

/** Where another release is listed as well, the one that runs is preferred; backports have their own low priority. */
function targetOf({ suite, suites }: Spec["system"]): string[] {
  const others = (suites ?? []).some((other) => !other.startsWith(`${suite}-`));
  return others ? partsOf(suite).map((part) => part.suite) : [];
}

function resolveKeeping(
  pool: Pool,
  request: { readonly install: readonly string[]; readonly recommends: boolean; readonly suite: string },
  { locked, update = [], log }: LockOptions,
): Resolution {
  if (locked === undefined || locked.size === 0 || update === "all") return resolve(pool, request);
  const known = (name: string) =>
    locked.has(name) ||
    pool.package(name).versions.length > 0 ||
    [...locked.keys()].some((other) => isOf(pool, other, name));
  for (const name of update)
    if (!known(name))
      throw new Fail(`there is no package ${name} to update`, { hint: "name one that the lock holds" });
  const asked = request.install.map((word) => parseWanted(word)).filter(({ refused }) => !refused);
  const kept = versionsToKeep(
    pool,
    locked,
    (other) => update.includes(other.name) || update.includes(sourceOf(other)),
    asked.map(({ name }) => name),
  );
  try {
    return resolve(pool, { ...request, prefer: [...kept.values()] });
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const result = resolve(pool, request);
    log.warn(`the locked versions cannot be kept (${error.message})`);
    return result;
  }
}

function isOf(pool: Pool, name: string, source: string): boolean {
  return pool.package(name).versions.some((other) => sourceOf(other) === source);
}

function lockedPackage(one: Candidate, { requested, bootstrap, needs }: Resolution): LockedPackage {
  const depends = (needs.get(one.name) ?? []).filter((name) => name !== one.name);
  return {
    name: one.name,
    version: one.version,
    architecture: one.architecture,
    archive: one.origin.archive,
    suite: one.origin.suite,
    ...(one.source === "" ? {} : { source: one.source }),
    path: one.path,
    size: one.size,
    sha256: one.sha256,
    ...(depends.length === 0 ? {} : { depends }),
    requested: requested.has(one.name),
    bootstrap: bootstrap.has(one.name),
  };
}
