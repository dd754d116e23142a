import { existsSync } from "node:fs";
import { diffLocks } from "../../debian/lock/lock-diff.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { loadDefinition } from "../definition/load.ts";
import { requireSigned } from "./compare-lock.ts";
import { lockPath, makeLockFor, readLockFor, readOldLock, requirePackages, writeLock } from "./lock.ts";

export interface LockOptions {
  /** Take newer versions, of all packages or of those named. */
  readonly update?: boolean;
  /** Change nothing. */
  readonly check?: boolean;
  readonly offline?: boolean;
  readonly allowOlder?: boolean;
}

/** What came of it. */
interface Locked {
  readonly file: string;
  /** "checked" against the signed indices, as it was asked for; or "written" anew. */
  readonly outcome: "checked" | "fits" | "nothing newer" | "written";
  readonly packages: number;
  /** What is to be fetched for a lock that was written. */
  readonly bytes?: number;
  /** A line for each package that came, went or changed. */
  readonly changes: readonly string[];
}

/** Resolves a definition's packages into its lock, or checks the one that is there; `only` limits an update to these. */
export async function lockDefinition(
  path: string,
  only: readonly string[],
  { update = false, check = false, offline = false, allowOlder = false }: LockOptions,
  outside: Surroundings,
): Promise<Locked> {
  const definition = await loadDefinition(path);
  for (const line of definition.unfinished) outside.log.warn(line);
  const file = lockPath(definition);
  if (check) {
    const { lock } = await readLockFor(definition);
    await requireSigned(definition, lock, { ...outside, offline });
    return { file, outcome: "checked", packages: lock.packages.length, changes: [] };
  }
  const old = await readOldLock(definition);
  if (old?.lock !== undefined && !update && (await readLockFor(definition, { stale: "accept" })).fresh)
    return { file, outcome: "fits", packages: old.lock.packages.length, changes: [] };
  const { cache, signal, env } = outside;
  const lock = await outside.log.task("resolving packages", (log) =>
    makeLockFor(definition.spec, {
      ...{ cache, log, signal, env, offline, allowOlder, old },
      dir: definition.dir,
      update: !update ? [] : only.length > 0 ? only : "all",
    }),
  );
  requirePackages(definition, lock);
  const packages = lock.packages.length;
  if (lock === old?.lock && existsSync(file))
    return { file, outcome: "nothing newer", packages, changes: [] };
  await writeLock(file, lock);
  const bytes = lock.packages.reduce((sum, { size }) => sum + size, 0);
  return { file, outcome: "written", packages, bytes, changes: diffLocks(old?.lock, lock) };
}
