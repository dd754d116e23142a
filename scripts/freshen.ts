// An archive keeps only the newest of what its security updates replace. A lock whose packages it has dropped is made anew,
// so that demo and tests work from a clone of any age.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { get } from "../src/debian/http/get.ts";
import { proxiesOf } from "../src/debian/http/proxy.ts";
import { diffLocks } from "../src/debian/lock/lock-diff.ts";
import { loadDefinition } from "../src/operator/definition/load.ts";
import { lockPath, makeLockFor, mirrorsFor, readLockFor, writeLock } from "../src/operator/lock/lock.ts";
import type { LockedPackage } from "../src/schema/lock.ts";
import { cacheRoot } from "../src/system/files/cache.ts";
import { plainLog } from "../src/util/log.ts";

const parallel = 24;
const askMs = 30_000;
const cache = cacheRoot(process.env);
const proxies = proxiesOf(process.env);
const log = plainLog(process.stderr, Date.now);
/** By path: definitions have most of their packages in common. */
const asked = new Map<string, Promise<boolean>>();

const examples = ["imgbuild", "imgbuild/layouts"].flatMap((directory) =>
  readdirSync(directory)
    .map((name) => join(directory, name))
    .filter((path) => existsSync(join(path, "IMGBUILD.ts"))),
);
for (const path of ["initramfs", ...examples.sort()]) {
  const definition = await loadDefinition(path);
  const { lock } = await readLockFor(definition);
  const mirrors = await mirrorsFor(definition.spec, process.env);
  const gone: string[] = [];
  const queue = lock.packages.filter(({ sha256 }) => !existsSync(join(cache, "packages", `${sha256}.deb`)));
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      if (!(await asking(next, mirrors[next.archive] ?? []))) gone.push(next.name);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  if (gone.length === 0) continue;
  log.warn(
    `the archive has dropped ${gone.length} packages of ${path}'s lock (${gone.slice(0, 5).join(", ")}); locking anew`,
  );
  const signal = new AbortController().signal;
  const fresh = await makeLockFor(definition.spec, {
    cache,
    log,
    signal,
    env: process.env,
    dir: definition.dir,
  });
  for (const line of diffLocks(lock, fresh)) console.error(`  ${line}`);
  await writeLock(lockPath(definition), fresh);
}

function asking(locked: LockedPackage, urls: readonly string[]): Promise<boolean> {
  const key = `${locked.archive}/${locked.path}`;
  const answer = asked.get(key) ?? isServed(locked, urls);
  asked.set(key, answer);
  return answer;
}

/** False only where every mirror says that it has no such file; a mirror out of reach is for the fetch to tell. */
async function isServed(locked: LockedPackage, urls: readonly string[]): Promise<boolean> {
  for (const url of urls) {
    const answer = await get(`${url.replace(/\/$/, "")}/${locked.path}`, {
      method: "HEAD",
      headers: {},
      signal: AbortSignal.timeout(askMs),
      proxies,
    }).catch(() => undefined);
    answer?.body.destroy();
    if (answer?.status !== 404) return true;
  }
  return false;
}
