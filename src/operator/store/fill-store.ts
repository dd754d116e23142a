import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keepersFor } from "../../debian/archive/keepers.ts";
import { fetchAll } from "../../debian/http/fetch.ts";
import { storePath } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { hold } from "../../system/files/file-lock.ts";
import { linkWhole } from "../../system/files/link-whole.ts";
import { messageOf } from "../../util/fail.ts";
import { baseDefinition } from "../base/base.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";
import { lookInto, withStore, writeIndex } from "./store-directory.ts";
import type { KeptPackage } from "./store-index.ts";
import { type StoreKey, storeKey } from "./store-key.ts";

export type Filling = Pick<OpenDefinition, "spec" | "lock" | "dir">;

interface Filled {
  readonly publicKey: string;
  /** What the store has now. */
  readonly packages: number;
  readonly added: number;
  readonly bytes: number;
}

/** Definitions, and the base that builds them. */
export async function withBase(definitions: readonly Filling[]): Promise<Filling[]> {
  return [...definitions, await openDefinition(baseDefinition())];
}

/**
 * Puts every package that definitions need into a store's directory: from the cache, else from the mirrors, other
 * stores and snapshots. A package is there in one piece, and the index names it when it is: an interrupted run leaves a whole store.
 */
export async function fillStore(
  definitions: readonly Filling[],
  dir: string,
  options: Surroundings,
): Promise<Filled> {
  const key = await storeKey(options.env);
  // Before anything is fetched: a store that another key signs is not ours to fill.
  const { index } = await lookInto(dir, key.publicKey);
  const listed = new Set(index?.packages.map(({ sha256 }) => sha256));
  const cache = join(options.cache, "packages");
  const all = new Map<string, LockedPackage>();
  for (const definition of definitions) {
    const wanted = definition.lock.packages;
    for (const one of wanted) all.set(one.sha256, one);
    const missing: LockedPackage[] = [];
    for (const one of wanted)
      if (!(await isThere(join(dir, storePath(one)), one, listed.has(one.sha256)))) missing.push(one);
    if (missing.length > 0) await fetchInto(cache, definition, missing, options);
  }
  return await withStore(dir, options.signal, () => takeIn([...all.values()], cache, dir, key));
}

/** Fills each store of these that is a directory here and may be written. That one cannot be filled is a warning: the work is done. */
export async function fillStores(
  definition: Filling & { readonly stores: readonly string[] },
  options: Surroundings,
): Promise<void> {
  for (const url of definition.stores) {
    const dir = url.startsWith("file:") ? fileURLToPath(url) : undefined;
    if (dir === undefined || !(await stat(dir).catch(() => undefined))?.isDirectory()) continue;
    await options.log
      .task(`filling the store ${dir}`, async (log) =>
        fillStore(await withBase([definition]), dir, { ...options, log }),
      )
      .catch((error: unknown) => {
        options.signal.throwIfAborted();
        options.log.warn(`the store ${dir} was not filled: ${messageOf(error)}`);
      });
  }
}

async function fetchInto(
  cache: string,
  definition: Filling,
  missing: readonly LockedPackage[],
  { env, log, signal }: Surroundings,
): Promise<void> {
  await fetchAll(missing, {
    mirrors: await mirrorsFor(definition.spec, env, definition.dir),
    keepers: keepersFor(definition, env),
    proxies: proxiesOf(env),
    dir: cache,
    log,
    signal,
  });
  await hold(cache);
}

async function takeIn(
  packages: readonly LockedPackage[],
  cache: string,
  dir: string,
  key: StoreKey,
): Promise<Filled> {
  const { index } = await lookInto(dir, key.publicKey);
  const kept = new Map((index?.packages ?? []).map((one) => [one.sha256, one]));
  const now = new Date().toISOString();
  let added = 0;
  let bytes = 0;
  for (const one of packages) {
    const place = join(dir, storePath(one));
    if (!(await isThere(place, one, kept.has(one.sha256)))) {
      await linkWhole(join(cache, `${one.sha256}.deb`), place);
      added += 1;
      bytes += one.size;
    }
    if (!kept.has(one.sha256)) kept.set(one.sha256, keptOf(one, now));
  }
  if (index === undefined || kept.size > index.packages.length)
    await writeIndex(dir, [...kept.values()], key);
  return { publicKey: key.publicKey, packages: kept.size, added, bytes };
}

function keptOf(
  { name, version, architecture, archive, path, size, sha256 }: LockedPackage,
  added: string,
): KeptPackage {
  return { name, version, architecture, archive, path, size, sha256, added };
}

/** What the index names was looked at when it came; anything else may be half of what an interrupted run wrote. */
async function isThere(file: string, { size, sha256 }: LockedPackage, listed: boolean): Promise<boolean> {
  if ((await stat(file).catch(() => undefined))?.size !== size) return false;
  return listed || (await fileDigest(file)) === sha256;
}
