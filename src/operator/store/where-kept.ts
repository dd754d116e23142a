import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { keepersFor, storeUrl } from "../../debian/archive/keepers.ts";
import { lookFor } from "../../debian/http/available.ts";
import { download } from "../../debian/http/http.ts";
import { loginFiles } from "../../debian/http/login-files.ts";
import { storeIndexName } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { mirrorsFor } from "../lock/lock.ts";
import type { OpenDefinition } from "../lock/open-definition.ts";
import { maxIndexBytes, readIndex } from "./store-index.ts";

/** Where packages are that no mirror has any more. */
interface WhereKept {
  /** "nginx 1.2 is in no mirror any more, only in URL", by the package's name. */
  readonly lines: readonly string[];
  /** Packages that are nowhere. */
  readonly lost: readonly string[];
}

/** Asks the mirrors for each package of a lock, and then stores and snapshots for what the mirrors do not have. */
export async function whereKept(
  definition: Pick<OpenDefinition, "spec" | "lock" | "dir">,
  { env, log, signal }: Surroundings,
): Promise<WhereKept> {
  const packages = definition.lock.packages.filter(({ archive }) => archive !== localArchive);
  const mirrors = await mirrorsFor(definition.spec, env, definition.dir);
  const { found, missing, silence } = await lookFor(packages, {
    mirrors,
    keepers: keepersFor(definition, env),
    proxies: proxiesOf(env),
    log,
    signal,
  });
  if (mirrors.debian.every((mirror) => silence.has(mirror.replace(/\/$/, "")))) {
    log.warn("no mirror can be reached, so it is not known what they still have");
    return { lines: [], lost: [] };
  }
  await checkIndices(definition, { env, log, signal });
  const kept = [...found].filter(([, { kind }]) => kind !== "mirror");
  const lines = kept.map(
    ([{ name, version }, { kind, base }]) =>
      `${name} ${version} is on no mirror any more, only in the ${kind} ${base}`,
  );
  return { lines: lines.sort(), lost: [...missing.keys()].map(({ name, version }) => `${name} ${version}`) };
}

/** A store whose index is not signed by the key that the definition names is reported: somebody else may decide what it keeps. */
async function checkIndices(
  { spec, dir }: Pick<OpenDefinition, "spec" | "dir">,
  { env, log, signal }: Omit<Surroundings, "cache">,
): Promise<void> {
  for (const { url, key } of spec.system.stores ?? []) {
    const base = storeUrl(url, dir) ?? url;
    try {
      const what = { path: storeIndexName, maxBytes: maxIndexBytes, proxies: proxiesOf(env) };
      const bytes = base.startsWith("file:")
        ? await readFile(fileURLToPath(`${base}/${storeIndexName}`))
        : await download(
            [{ kind: "store", base, path: storeIndexName, logins: loginFiles(env) }],
            what,
            signal,
          );
      readIndex(bytes, key, `${base}/${storeIndexName}`);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Fail) log.warn(messageOf(error));
      else log.warn(`the store ${base} has no index that can be read: ${messageOf(error)}`);
    }
  }
}
