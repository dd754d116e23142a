import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseLock } from "../../debian/lock/lock.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { during } from "../../util/fail.ts";
import { baseDefinition } from "../base/base.ts";
import { openDefinition } from "../lock/open-definition.ts";
import { storeAt } from "./store-at.ts";
import { storeKey } from "./store-key.ts";
import { requireIndex } from "./store-place.ts";

interface Thinned {
  readonly kept: number;
  readonly removed: number;
  readonly freed: number;
}

/**
 * Takes out of a store what none of these locks needs. The index forgets it first, so an interrupted run leaves content that
 * nothing names, which the next run takes, or a registry itself.
 */
export async function thinStore(
  where: string,
  locks: readonly Pick<Lock, "packages">[],
  options: Surroundings & { readonly dryRun?: boolean },
): Promise<Thinned> {
  const key = await storeKey(options.env);
  const store = storeAt(where, options);
  await requireIndex(store, key.publicKey);
  const needed = new Set(locks.flatMap(({ packages }) => packages.map(({ sha256 }) => sha256)));
  return await store.alone(async () => {
    const index = await requireIndex(store, key.publicKey);
    const staying = index.packages.filter(({ sha256 }) => needed.has(sha256));
    const others = await store.others(staying, index);
    if (!options.dryRun) {
      if (staying.length < index.packages.length) await store.writeIndex(staying, key);
      await store.remove(others);
    }
    const freed = others.reduce((sum, { size }) => sum + size, 0);
    return { kept: staying.length, removed: others.length, freed };
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
