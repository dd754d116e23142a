import { loadIndex } from "../../debian/archive/index.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { compareLock } from "../../debian/lock/compare-lock.ts";
import { sourcesOf } from "../../debian/lock/make-lock.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { type Definition, wordFor } from "../definition/load.ts";
import { lockPath, mirrorsFor } from "./lock.ts";

/** Differences shown at once. */
const shown = 6;

/**
 * Refuses a lock that is not what the signed indices say. They are fetched, or those of the cache are taken where that cannot be; where
 * there are none, it says so and compares nothing.
 */
export async function requireSigned(
  definition: Definition,
  lock: Lock,
  options: Surroundings & { readonly offline: boolean },
): Promise<void> {
  const { env, log, signal } = options;
  const { system } = definition.spec;
  const read = async (offline: boolean) =>
    await loadIndex(await sourcesOf(system), system.architecture, {
      ...{ cache: options.cache, log, signal, offline, now: new Date(), proxies: proxiesOf(env) },
      mirrors: await mirrorsFor(definition.spec, env, definition.dir),
    });
  const tables = await read(options.offline)
    .catch((error: unknown) => {
      if (options.offline || !(error instanceof Fail) || signal.aborted) throw error;
      log.warn(`the indices cannot be fetched (${error.message}); those of the cache are taken`);
      return read(true);
    })
    .then(
      (index) => index.tables,
      (error: unknown) => {
        if (!(error instanceof Fail) || signal.aborted) throw error;
        log.warn(`the lock was not compared with the signed indices: ${messageOf(error)}`);
      },
    );
  if (tables === undefined) return;
  const { differences, names, missing } = compareLock(lock, tables);
  if (missing > 0)
    log.info(`${missing} locked versions are in the archive's index no more, and were not compared`);
  if (differences.length === 0) return;
  const more = differences.length - shown;
  const lines = [...differences.slice(0, shown), ...(more > 0 ? [`and ${more} more`] : [])];
  throw new Fail(`${lockPath(definition)} is not what the archive has signed:\n${lines.join("\n")}`, {
    hint: `restore it from version control, or run \`imgbuild lock ${wordFor(definition)} --update ${names.slice(0, shown).join(" ")}\``,
  });
}
