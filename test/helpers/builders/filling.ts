import type { Filling } from "../../../src/operator/store/fill-store.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { type Log, silentLog } from "../../../src/util/log.ts";
import { type Web, webOf } from "../labs/web.ts";
import { tempDir } from "../temp-dir.ts";
import { serverSpec } from "./deployable.ts";
import { lockedPackage, lockOf } from "./lock.ts";

/** The content of a package that stands for one. */
export const bytesOf = (name: string) => Buffer.from(`!<arch>\n${name}\n`.repeat(20));

/** A definition whose lock has these packages, of a mirror that is the only one. */
export function definition(
  names: readonly string[],
  mirror: Web,
  stores: { url: string; key: string }[] = [],
): Filling {
  const system = { mirror: mirror.url, ...(stores.length === 0 ? {} : { stores }) };
  const packages = names.map((name) =>
    lockedPackage(name, "1", { size: bytesOf(name).length, sha256: sha256(bytesOf(name)) }),
  );
  return { spec: serverSpec({ system }), lock: lockOf(packages), dir: tempDir() };
}

export const mirrorOf = (...names: string[]) =>
  webOf(new Map(names.map((name) => [`pool/main/${name}_1.deb`, bytesOf(name)])));

/** The world of one operator, with a home and a cache; nothing but loopback is asked. */
export function operator(log: Log = silentLog) {
  const env = { HOME: tempDir(), IMGBUILD_SNAPSHOT: "" };
  return { env, cache: tempDir(), log, signal: new AbortController().signal };
}
