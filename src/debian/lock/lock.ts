import { Document, isScalar, isSeq, parse, visit } from "yaml";
import { Lock, type LockedPackage } from "../../schema/lock.ts";
import { Fail } from "../../util/fail.ts";
import { order } from "../resolve/resolve.ts";
import { parsePlainYaml } from "./plain-yaml.ts";

const maxLockBytes = 16 * 1024 * 1024;
const title =
  "# Exact packages, written by `imgbuild lock`. Paths are relative to a mirror of the archive.\n";

/** Reads a lock; its packages are in the order in which they can be unpacked. */
export function parseLock(text: string): Lock {
  const data = parseYaml(text);
  if (hasVersion(data, 1))
    throw new Fail("it is of an older imgbuild", {
      hint: "`imgbuild lock` writes it anew, with the same versions",
    });
  const result = Lock.safeParse(data);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new Fail(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not a lock"}`, {
      hint: "make it anew with `imgbuild lock`",
    });
  }
  return { ...result.data, packages: inOrder(result.data.packages) };
}

/** One package a block of lines, sorted by name, so that a change touches what it is about; marks that are false are left out. */
export function formatLock(lock: Lock): string {
  const byName = [...lock.packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  const packages = byName.map(({ requested, bootstrap, depends, ...rest }) => ({
    ...rest,
    ...(depends === undefined || depends.length === 0 ? {} : { depends }),
    ...(requested ? { requested } : {}),
    ...(bootstrap ? { bootstrap } : {}),
  }));
  const document = new Document({ ...lock, packages });
  visit(document, {
    Pair: (_key, { key, value }) => {
      // The names that a package depends on are a line.
      if (isScalar(key) && key.value === "depends" && isSeq(value)) value.flow = true;
    },
  });
  return `${title}${document.toString({ lineWidth: 0, flowCollectionPadding: false })}`;
}

/** Versions that a lock holds, also one of an older form or one that does not parse any more: what can be kept of it. */
export function lockedVersions(
  text: string,
): Map<string, { readonly version: string; readonly sha256: string }> {
  const found = new Map<string, { version: string; sha256: string }>();
  let data: unknown;
  try {
    data = parseYaml(text);
  } catch {
    return found;
  }
  const packages = (data as { packages?: unknown } | null)?.packages;
  for (const one of Array.isArray(packages) ? (packages as Partial<LockedPackage>[]) : [])
    if (typeof one?.name === "string" && typeof one.version === "string" && typeof one.sha256 === "string")
      found.set(one.name, { version: one.version, sha256: one.sha256 });
  return found;
}

/** Dependencies before dependents, the bootstrap set first; the same for the same packages. */
export function inOrder(packages: readonly LockedPackage[]): LockedPackage[] {
  const byName = new Map(packages.map((locked) => [locked.name, locked]));
  const known = (names: readonly string[]) => names.filter((name) => byName.has(name));
  const needs = new Map(packages.map(({ name, depends }) => [name, known(depends ?? [])]));
  const bootstrap = new Set(packages.filter((locked) => locked.bootstrap).map(({ name }) => name));
  return order(needs, bootstrap).map((name) => byName.get(name)!);
}

function parseYaml(text: string): unknown {
  if (text.length > maxLockBytes) throw new Fail(`the lock is larger than ${maxLockBytes} bytes`);
  const asWritten = parsePlainYaml(text);
  if (asWritten !== undefined) return asWritten;
  try {
    return parse(text, { logLevel: "error" });
  } catch (error) {
    throw new Fail(`not YAML: ${(error as Error).message}`, { hint: "make it anew with `imgbuild lock`" });
  }
}

function hasVersion(data: unknown, version: number): boolean {
  return typeof data === "object" && data !== null && (data as { version?: unknown }).version === version;
}
