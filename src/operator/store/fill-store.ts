import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keepersFor } from "../../debian/archive/keepers.ts";
import { fetchAll } from "../../debian/http/fetch.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { hold } from "../../system/files/file-lock.ts";
import { messageOf } from "../../util/fail.ts";
import { baseDefinition } from "../base/base.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";
import { storeAt } from "./store-at.ts";
import type { KeptPackage } from "./store-index.ts";
import { type StoreKey, storeKey } from "./store-key.ts";
import { type StorePlace, withEach } from "./store-place.ts";

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
 * Puts every package that definitions need into a store: from the cache, else from the mirrors, other stores and
 * snapshots. A package is there in one piece, and the index names it when it is: an interrupted run leaves a whole store.
 */
export async function fillStore(
  definitions: readonly Filling[],
  where: string,
  options: Surroundings,
): Promise<Filled> {
  const key = await storeKey(options.env);
  const store = storeAt(where, options);
  // Before anything is fetched: a store that another key signs is not ours to fill.
  const index = await store.index(key.publicKey);
  const listed = new Set(index?.packages.map(({ sha256 }) => sha256));
  const cache = join(options.cache, "packages");
  const all = new Map<string, LockedPackage>();
  const there = new Set<string>();
  for (const definition of definitions) {
    const wanted = definition.lock.packages;
    for (const one of wanted) all.set(one.sha256, one);
    await withEach(wanted, store.parallel, async (one) => {
      options.signal.throwIfAborted();
      if (await store.has(one, listed.has(one.sha256))) there.add(one.sha256);
    });
    const missing = wanted.filter(({ sha256 }) => !there.has(sha256));
    if (missing.length > 0) await fetchInto(cache, definition, missing, options);
  }
  return await store.alone(() => takeIn([...all.values()], store, { key, cache, options }));
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
  store: StorePlace,
  { key, cache, options }: { readonly key: StoreKey; readonly cache: string; readonly options: Surroundings },
): Promise<Filled> {
  const index = await store.index(key.publicKey);
  const kept = new Map((index?.packages ?? []).map((one) => [one.sha256, one]));
  const now = new Date().toISOString();
  let added = 0;
  let bytes = 0;
  let done = 0;
  await withEach(packages, store.parallel, async (one) => {
    options.signal.throwIfAborted();
    if (!(await store.has(one, kept.has(one.sha256)))) {
      await store.put(one, join(cache, `${one.sha256}.deb`));
      added += 1;
      bytes += one.size;
    }
    done += 1;
    options.log.progress(done, packages.length, "packages");
  });
  for (const one of packages) if (!kept.has(one.sha256)) kept.set(one.sha256, keptOf(one, now));
  if (index === undefined || kept.size > index.packages.length)
    await store.writeIndex([...kept.values()], key);
  return { publicKey: key.publicKey, packages: kept.size, added, bytes };
}

function keptOf(
  { name, version, architecture, archive, path, size, sha256 }: LockedPackage,
  added: string,
): KeptPackage {
  return { name, version, architecture, archive, path, size, sha256, added };
}
