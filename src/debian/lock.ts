import { parse, stringify } from "yaml";
import { Lock, type LockedPackage } from "../schema/lock.ts";
import type { Spec } from "../schema/spec.ts";
import { digestOf } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import { loadIndex } from "./index.ts";
import { Pool } from "./pool.ts";
import type { ArchiveOptions } from "./release-file.ts";
import { resolve } from "./resolve.ts";
import { debianSources } from "./sources.ts";
import { compareVersions } from "./version.ts";

const maxLockBytes = 16 * 1024 * 1024;

type Request = Pick<Spec, "system" | "packages">;

/** What a lock answers: the same request, the same digest. The mirror and what is pruned later do not matter. */
export function requestDigest({ system, packages }: Request): string {
  const { distribution, suite, architecture, components } = system;
  const install = [...new Set(packages.install)].sort();
  return digestOf({
    distribution,
    suite,
    architecture,
    components,
    install,
    recommends: packages.recommends,
  });
}

/** Resolves a definition's packages from the signed indices of its suite. */
export async function lockDefinition(spec: Request, options: ArchiveOptions): Promise<Lock> {
  const { suite, components, architecture } = spec.system;
  const index = await loadIndex(await debianSources([suite], components), architecture, options);
  const { install, recommends } = spec.packages;
  const pool = new Pool(index.tables, { pins: [], target: [] }, architecture);
  const result = resolve(pool, { install, recommends, suite });
  const packages = result.packages.map(
    (one): LockedPackage => ({
      name: one.name,
      version: one.version,
      architecture: one.architecture,
      archive: one.origin.archive,
      path: one.path,
      size: one.size,
      sha256: one.sha256,
      requested: result.requested.has(one.name),
      bootstrap: result.bootstrap.has(one.name),
    }),
  );
  return Lock.parse({ version: 1, request: requestDigest(spec), indices: index.indices, packages });
}

export function parseLock(text: string): Lock {
  if (text.length > maxLockBytes) throw new Fail(`the lock is larger than ${maxLockBytes} bytes`);
  let data: unknown;
  try {
    data = parse(text, { logLevel: "error" });
  } catch (error) {
    throw new Fail(`not YAML: ${(error as Error).message}`, { hint: "make it anew with `imgbuild lock`" });
  }
  const result = Lock.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Fail(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not a lock"}`, {
    hint: "make it anew with `imgbuild lock`",
  });
}

/** One package a block of lines, sorted as they are unpacked; false marks are left out. */
export function formatLock(lock: Lock): string {
  const packages = lock.packages.map(({ requested, bootstrap, ...rest }) => ({
    ...rest,
    ...(requested ? { requested } : {}),
    ...(bootstrap ? { bootstrap } : {}),
  }));
  return `# Exact packages, written by \`imgbuild lock\`. Paths are relative to a mirror of the archive.\n${stringify({ ...lock, packages }, { lineWidth: 0 })}`;
}

/** What a person wants to see of a new lock: "nginx 1.26.0-1 → 1.26.3-1 (security)". */
export function diffLocks(old: Lock | undefined, fresh: Lock): string[] {
  const before = new Map(old?.packages.map((one) => [one.name, one]));
  const after = new Map(fresh.packages.map((one) => [one.name, one]));
  const mark = (one: LockedPackage) => (one.archive === "debian-security" ? " (security)" : "");
  if (old === undefined) return [];
  const lines: string[] = [];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const was = before.get(name);
    const is = after.get(name);
    if (was === undefined) lines.push(`+ ${name} ${is!.version}${mark(is!)}`);
    else if (is === undefined) lines.push(`- ${name} ${was.version}`);
    else if (was.version !== is.version)
      lines.push(
        `${compareVersions(was.version, is.version) > 0 ? "DOWN " : ""}${name} ${was.version} → ${is.version}${mark(is)}`,
      );
  }
  return lines;
}
