import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { remoteKeepers } from "../../debian/archive/keepers.ts";
import { lookFor } from "../../debian/http/available.ts";
import { type Keepers, storePath } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";

/** A payload holds 32 MiB, and has other things to carry. */
const maxBytes = 24 * 2 ** 20;

/**
 * Packages that only a store's directory on this machine has, by their paths in a store: the base of a deploy cannot reach it, so they
 * travel with the payload. Nothing is asked where no store is a directory.
 */
export async function onlyHere(
  packages: readonly LockedPackage[],
  places: { readonly mirrors: Readonly<Record<string, readonly string[]>>; readonly keepers: Keepers },
  { env, log, signal }: Omit<Surroundings, "cache">,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const here = places.keepers.stores
    .filter((url) => url.startsWith("file:"))
    .map((url) => fileURLToPath(url));
  if (here.length === 0) return new Map();
  const { missing } = await log.task("asking the mirrors for the packages", (inner) =>
    lookFor(
      packages.filter(({ archive }) => archive !== localArchive),
      {
        mirrors: places.mirrors,
        keepers: remoteKeepers(places.keepers),
        ...{ proxies: proxiesOf(env), log: inner, signal },
      },
    ),
  );
  const found = new Map<string, Uint8Array>();
  let total = 0;
  for (const one of missing.keys()) {
    const bytes = await fromStores(here, one);
    if (bytes === undefined) continue;
    found.set(storePath(one), bytes);
    total += bytes.length;
    if (total > maxBytes)
      throw new Fail(`packages of more than ${maxBytes / 2 ** 20} MiB are only in ${here.join(", ")}`, {
        hint: "serve that directory by HTTP and name its URL in the definition's `system.stores`: the target takes them from there",
      });
  }
  if (found.size > 0)
    log.info(`${found.size} packages are on no mirror any more; they go along from the store`);
  return found;
}

/** What the lock says, or nothing. */
async function fromStores(
  directories: readonly string[],
  locked: LockedPackage,
): Promise<Uint8Array | undefined> {
  for (const directory of directories) {
    const bytes = await readFile(`${directory}/${storePath(locked)}`).catch(() => undefined);
    if (bytes !== undefined && sha256(bytes) === locked.sha256) return bytes;
  }
  return undefined;
}
