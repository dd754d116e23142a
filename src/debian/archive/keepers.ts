import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Env } from "../../system/files/cache.ts";
import { distribution } from "../../tables/distribution.ts";
import { loginFiles } from "../http/login-files.ts";
import type { Keepers } from "../http/places.ts";
import { registryOf } from "../http/registry-address.ts";

/** Moments that are asked for: a lock that grew over time has packages of several. */
const maxMoments = 3;
/** A Release says when it was made; the archive of the past takes its packages up at most so long after. */
const takenUpMs = 12 * 3_600_000;

/** A definition as far as packages are concerned. */
interface Locked {
  readonly spec: Pick<Spec, "system">;
  readonly lock: Pick<Lock, "indices" | "date">;
  /** What relative stores are relative to; without it they are left out. */
  readonly dir?: string;
}

/**
 * Who is asked for a definition's packages when the mirrors have dropped them: the environment's stores, the definition's, then the
 * distribution's archive of the past, at the moments that the lock was made of.
 */
export function keepersFor({ spec, lock, dir }: Locked, env: Env): Keepers {
  const named = (spec.system.stores ?? []).flatMap(({ url }) => storeUrl(url, dir) ?? []);
  const given = (env.IMGBUILD_STORE ?? "").split(",").filter((text) => text !== "");
  const own = given.flatMap((text) => storeUrl(text, process.cwd()) ?? []);
  const stores = [...new Set([...own, ...named])];
  const loginSecrets = Object.fromEntries(
    (spec.system.stores ?? []).flatMap(({ url, login }) =>
      login === undefined ? [] : [[storeUrl(url, dir) ?? url, login] as const],
    ),
  );
  return {
    stores,
    snapshots: snapshotsOf(lock, env.IMGBUILD_SNAPSHOT ?? distribution.snapshots),
    ...(stores.some((url) => registryOf(url) !== undefined) ? { logins: loginFiles(env) } : {}),
    ...(Object.keys(loginSecrets).length > 0 ? { loginSecrets } : {}),
  };
}

/** The environment for what is made beside a definition, as the base: it has the definition's stores as well. */
export function withStores({ stores }: Keepers, env: Env): Env {
  return stores.length === 0 ? env : { ...env, IMGBUILD_STORE: stores.join(",") };
}

/** The environment with the store of an option before its own. */
export function withStore(env: Env, option: string | undefined): Env {
  if (option === undefined) return env;
  return { ...env, IMGBUILD_STORE: [option, ...(env.IMGBUILD_STORE ? [env.IMGBUILD_STORE] : [])].join(",") };
}

/** What another machine can ask as well: without the files of logins, which are of this one. */
export function remoteKeepers({ stores, snapshots, loginSecrets }: Keepers): {
  stores: string[];
  snapshots: Record<string, string[]>;
  loginSecrets?: Record<string, string>;
} {
  return {
    stores: stores.filter((url) => /^(https?|oci):/.test(url)),
    snapshots: Object.fromEntries(Object.entries(snapshots).map(([archive, urls]) => [archive, [...urls]])),
    ...(loginSecrets && { loginSecrets: { ...loginSecrets } }),
  };
}

/** A store's base URL, without a slash at the end; undefined where a relative directory is relative to nothing. */
export function storeUrl(text: string, dir: string | undefined): string | undefined {
  const trimmed = text.replace(/(?<=.)\/+$/, "");
  if (/^(https?|file|oci):\/\//.test(trimmed)) return trimmed;
  if (dir === undefined && !trimmed.startsWith("/")) return undefined;
  return pathToFileURL(resolve(dir ?? "/", trimmed)).href;
}

/** An empty base asks none. */
function snapshotsOf({ indices, date }: Locked["lock"], base: string): Record<string, string[]> {
  const trimmed = base.replace(/\/+$/, "");
  if (trimmed === "") return {};
  const of = (archive: string) => {
    const dates = indices.filter((index) => index.archive === archive).map((index) => index.date);
    if (dates.length === 0) return [];
    const times = [
      ...new Set([...dates, ...(date === undefined ? [] : [date])].map((text) => Date.parse(text))),
    ];
    const newest = times.sort((a, b) => b - a).slice(0, maxMoments);
    // The server answers with the last state before a moment.
    return [...newest.map((time) => time + takenUpMs), ...newest].map(
      (time) => `${trimmed}/${archive}/${stampOf(time)}`,
    );
  };
  return { debian: of("debian"), "debian-security": of("debian-security") };
}

/** As "20260131T235959Z". */
function stampOf(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d+/g, "");
}
