import { fileURLToPath } from "node:url";
import { remoteKeepers } from "../../debian/archive/keepers.ts";
import { lookFor } from "../../debian/http/available.ts";
import { download } from "../../debian/http/http.ts";
import { loginFor } from "../../debian/http/login-files.ts";
import { type Keepers, storePath } from "../../debian/http/places.ts";
import { type Proxies, proxiesOf } from "../../debian/http/proxy.ts";
import { registryOf } from "../../debian/http/registry-address.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { Fail } from "../../util/fail.ts";

/** A payload holds 32 MiB, and has other things to carry. */
const maxBytes = 24 * 2 ** 20;

/**
 * Packages that only this machine can get, by their paths in a store: from a store's directory, or from a registry with a login of the
 * operator's. The base of a deploy cannot reach them there, so they travel with the payload. Where there is no such store, nothing is asked.
 */
export async function onlyHere(
  packages: readonly LockedPackage[],
  places: { readonly mirrors: Readonly<Record<string, readonly string[]>>; readonly keepers: Keepers },
  { env, log, signal }: Omit<Surroundings, "cache">,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const proxies = proxiesOf(env);
  const here: string[] = [];
  for (const url of places.keepers.stores) if (await isOurs(url, places.keepers)) here.push(url);
  if (here.length === 0) return new Map();
  const { missing } = await log.task("asking the mirrors for the packages", (inner) =>
    lookFor(
      packages.filter(({ archive }) => archive !== localArchive),
      {
        mirrors: places.mirrors,
        keepers: remoteKeepers(places.keepers),
        ...{ proxies, log: inner, signal },
      },
    ),
  );
  const found = new Map<string, Uint8Array>();
  let total = 0;
  for (const one of missing.keys()) {
    const bytes = await fromStores(one, { here, logins: places.keepers.logins, proxies, signal });
    if (bytes === undefined) continue;
    found.set(storePath(one), bytes);
    total += bytes.length;
    if (total > maxBytes)
      throw new Fail(
        `packages of more than ${maxBytes / 2 ** 20} MiB are only in ${here.map(shownAs).join(", ")}`,
        {
          hint: "serve a store by HTTP without a login and name its URL in the definition's `system.stores`: the target takes them from there",
        },
      );
  }
  if (found.size > 0)
    log.info(`${found.size} packages are on no mirror any more; they go along from the store`);
  return found;
}

/** A store that nothing but this machine can read: a target has the logins that the definition names. */
async function isOurs(url: string, { logins = [], loginSecrets }: Keepers): Promise<boolean> {
  const registry = registryOf(url);
  if (registry === undefined) return url.startsWith("file:");
  if (loginSecrets?.[url] !== undefined) return false;
  return (await loginFor(logins, registry.repository)) !== undefined;
}

/** What the lock says, or nothing. */
async function fromStores(
  locked: LockedPackage,
  {
    here,
    logins,
    proxies,
    signal,
  }: {
    readonly here: readonly string[];
    readonly logins: Keepers["logins"];
    readonly proxies: Proxies;
    readonly signal: AbortSignal;
  },
): Promise<Uint8Array | undefined> {
  const { size, sha256 } = locked;
  const path = storePath(locked);
  const from = here.map((base) => ({ kind: "store" as const, base, path, ...(logins && { logins }) }));
  try {
    return await download(from, { path, size, sha256, maxBytes: size, proxies }, signal);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function shownAs(url: string): string {
  return url.startsWith("file:") ? fileURLToPath(url) : url;
}
