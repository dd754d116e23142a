import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "vitest";
import { fetchAll } from "../../../src/debian/http/fetch.ts";
import { parseLock } from "../../../src/debian/lock/lock.ts";
import { buildBase } from "../../../src/operator/base/base.ts";
import { loadDefinition } from "../../../src/operator/definition/load.ts";
import { mirrorsFor } from "../../../src/operator/lock/lock.ts";
import type { LockedPackage } from "../../../src/schema/lock.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { run } from "../../../src/system/run/run.ts";
import { silentLog } from "../../../src/util/log.ts";
import type { Ran } from "../imgbuild.ts";
import { linkOrCopy } from "../link-or-copy.ts";

export const program = resolve("bin/imgbuild");
export const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("IMGBUILD_"),
  ),
);
const mainCache = cacheRoot(process.env);

/** An expected failure: message and hint, nothing that looks like a bug. */
export function expectFail(ran: Ran, code: number, message: RegExp, hint?: RegExp): void {
  expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code, stderr: expect.stringMatching(message) });
  expect(ran.stderr).not.toMatch(/^ {4}at |this is a bug|node:internal/m);
  expect(ran.stderr).toMatch(/^error: /m);
  if (hint !== undefined) expect(ran.stderr.split("\n  hint: ")[1]).toMatch(hint);
}

/** Puts what `ownCache` links to into the usual cache: the packages of `imgbuild/web` and the base. */
export async function warmCache(): Promise<void> {
  const signal = new AbortController().signal;
  const options = { cache: mainCache, env: process.env, log: silentLog, signal };
  const { spec } = await loadDefinition("imgbuild/web");
  const mirrors = await mirrorsFor(spec, process.env);
  await fetchAll(webPackages(), { mirrors, dir: join(mainCache, "packages"), log: silentLog, signal });
  await buildBase(options);
}

/** A cache of its own, after `warmCache`: packages are those of the usual one, the base is shared. */
export function ownCache(dir: string, leaveOut: readonly LockedPackage[] = []): string {
  const cache = join(dir, "cache");
  mkdirSync(join(cache, "packages"), { recursive: true });
  symlinkSync(join(mainCache, "base"), join(cache, "base"));
  const absent = new Set(leaveOut.map((one) => one.sha256));
  for (const { sha256 } of webPackages())
    if (!absent.has(sha256))
      linkOrCopy(join(mainCache, "packages", `${sha256}.deb`), join(cache, "packages", `${sha256}.deb`));
  return cache;
}

export function webPackages(): readonly LockedPackage[] {
  return parseLock(readFileSync("imgbuild/web/imgbuild.lock.yaml", "utf8")).packages;
}

export function cachedPackage({ sha256 }: LockedPackage): Buffer {
  return readFileSync(join(mainCache, "packages", `${sha256}.deb`));
}

/** `imgbuild/web` beside its secrets in a directory of its own; with `mirror`, packages come from there alone. */
export function ownDefinition(dir: string, mirror?: string): string {
  cpSync("imgbuild/web", join(dir, "imgbuild/web"), { recursive: true });
  cpSync("secrets", join(dir, "secrets"), { recursive: true });
  const definition = join(dir, "imgbuild/web");
  if (mirror !== undefined) {
    const file = join(definition, "IMGBUILD.ts");
    const suite = 'suite: "trixie"';
    const text = readFileSync(file, "utf8");
    if (!text.includes(suite)) throw new Error("imgbuild/web names its suite in another way");
    writeFileSync(file, text.replace(suite, `${suite}, mirror: "${mirror}"`));
  }
  return definition;
}

/** imgbuild in a mount namespace of its own, after `prepare` has run there as a shell script with `words`. */
export async function inNamespace(
  prepare: string,
  words: readonly string[],
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; after?: string; timeoutMs?: number } = {},
): Promise<Ran> {
  const count = String(words.length);
  const script = `n=$1; shift\n${prepare}\nshift "$n"\n"$@"; code=$?\n${options.after ?? ""}\nexit "$code"`;
  return await run(["unshare", "--mount", "bash", "-c", script, "bash", count, ...words, program, ...args], {
    env: { ...environment, ...options.env },
    accept: Array.from({ length: 256 }, (_, code) => code),
    timeoutMs: options.timeoutMs ?? 120_000,
  });
}

/** Shell for `inNamespace`: the programs named by its words are not found there, by whatever path. */
export const hidePrograms = `
for p in "$@"; do
  case $p in /usr/bin/*|/usr/sbin/*) ;; *) break ;; esac
  d=$(dirname "$p"); o=$(mktemp -d)
  mount -t tmpfs tmpfs "$o"; mkdir "$o/u" "$o/w"; : > "$o/x"
  mknod "$o/u/$(basename "$p")" c 0 0
  mount -t overlay -o "lowerdir=$d,upperdir=$o/u,workdir=$o/w" overlay "$d" || exit 99
  umount -l "$o"; rmdir "$o"
done`;

/** Names in a directory; what tsx keeps in TMPDIR is its own. */
export function left(dir: string): string[] {
  return readdirSync(dir).filter((name) => !name.startsWith("tsx-"));
}
