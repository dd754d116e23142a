import { readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseLock } from "../../debian/lock/lock.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { during, Fail } from "../../util/fail.ts";
import { baseDefinition } from "../base/base.ts";
import { openDefinition } from "../lock/open-definition.ts";
import { lookInto, packagesName, withStore, writeIndex } from "./store-directory.ts";
import { storeKey } from "./store-key.ts";

interface Thinned {
  readonly kept: number;
  readonly removed: number;
  readonly freed: number;
}

/**
 * Takes out of a store what none of these locks needs. The index forgets it first, so an interrupted run leaves files that
 * nothing names, which the next run takes.
 */
export async function thinStore(
  dir: string,
  locks: readonly Pick<Lock, "packages">[],
  options: Surroundings & { readonly dryRun?: boolean },
): Promise<Thinned> {
  const key = await storeKey(options.env);
  if ((await lookInto(dir, key.publicKey)).index === undefined)
    throw new Fail(`${dir} has no index, so it is no store`, {
      hint: "`imgbuild store add DEF --store DIR`",
    });
  const needed = new Set(locks.flatMap(({ packages }) => packages.map(({ sha256 }) => sha256)));
  return await withStore(dir, options.signal, async () => {
    const { index, names } = await lookInto(dir, key.publicKey);
    const packages = index?.packages ?? [];
    const staying = packages.filter(({ sha256 }) => needed.has(sha256));
    const files = new Set(staying.map(({ sha256 }) => `${sha256}.deb`));
    if (!options.dryRun && staying.length < packages.length) await writeIndex(dir, staying, key);
    let [removed, freed] = [0, 0];
    for (const name of [...names].filter((one) => !files.has(one))) {
      const file = join(dir, packagesName, name);
      const found = await stat(file).catch(() => undefined);
      if (found === undefined) continue;
      removed += 1;
      freed += found.size;
      if (!options.dryRun) await rm(file, { force: true });
    }
    return { kept: staying.length, removed, freed };
  });
}

/** The locks of definitions or of locks' own files, and that of the base that builds them. */
export async function locksOf(keep: readonly string[]): Promise<Pick<Lock, "packages">[]> {
  return await Promise.all([baseDefinition(), ...keep].map(lockOf));
}

/** Of a lock's own file, or of a definition. */
async function lockOf(path: string): Promise<Pick<Lock, "packages">> {
  if (!path.endsWith(".yaml")) return (await openDefinition(path)).lock;
  const text = await during(`reading ${path}`, () => readFile(resolve(path), "utf8"));
  return await during(`reading ${path}`, () => parseLock(text));
}
