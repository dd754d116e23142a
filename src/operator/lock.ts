import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bootPackages } from "../boot/packages.ts";
import { formatLock, lockDefinition, parseLock, requestDigest } from "../debian/lock.ts";
import { chooseMirrors, type Mirrors, machineMirrors } from "../debian/mirrors.ts";
import type { Lock } from "../schema/lock.ts";
import type { Spec } from "../schema/spec.ts";
import { during, Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Definition } from "./load.ts";

type Env = Readonly<Record<string, string | undefined>>;

export function lockPath(definition: Pick<Definition, "dir">): string {
  return join(definition.dir, "imgbuild.lock.yaml");
}

/** The spec with the packages that its bootloaders need added to the request. */
export function withImpliedPackages(spec: Spec): Spec {
  const implied = spec.boot === undefined ? [] : bootPackages(spec.boot);
  const install = [...new Set([...spec.packages.install, ...implied])].sort();
  return { ...spec, packages: { ...spec.packages, install } };
}

/** Mirrors as this machine would choose them for that definition. */
export async function mirrorsFor(spec: Spec, env: Env): Promise<Mirrors> {
  return chooseMirrors({
    definition: spec.system.mirror,
    machine: await machineMirrors(),
    environment: env.IMGBUILD_MIRROR,
  });
}

/** Resolves anew; needs the network unless the index is cached. */
export async function makeLockFor(
  spec: Spec,
  options: { cache: string; log: Log; signal: AbortSignal; env: Env },
): Promise<Lock> {
  return await lockDefinition(withImpliedPackages(spec), {
    cache: options.cache,
    mirrors: await mirrorsFor(spec, options.env),
    now: new Date(),
    log: options.log,
    signal: options.signal,
  });
}

/** The definition's lock; one that does not fit is refused, or told as not fresh. */
export async function readLockFor(
  definition: Definition,
  options: { stale?: "refuse" | "accept" } = {},
): Promise<{ lock: Lock; fresh: boolean }> {
  const file = lockPath(definition);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Fail(`${file} does not exist`, { hint: `run \`imgbuild lock ${definition.dir}\`` });
  }
  const lock = await during(`reading ${file}`, () => parseLock(text));
  const fresh = lock.request === requestDigest(withImpliedPackages(definition.spec));
  if (!fresh && options.stale !== "accept")
    throw new Fail(`${file} is stale: the definition asks for other packages than it holds`, {
      hint: `run \`imgbuild lock ${definition.dir}\` and look at what changed`,
    });
  return { lock, fresh };
}

/** Whole or not at all. */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  await writeFile(`${file}.new`, formatLock(lock));
  await rename(`${file}.new`, file);
}
