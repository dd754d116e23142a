import type { Lock, LockedPackage } from "../../schema/lock.ts";
import { sourceOf } from "../package/candidate.ts";
import { compareVersions } from "../package/version.ts";

interface Change {
  readonly source: string;
  /** "+ 1.0", "- 1.0", "1.0 → 1.1". */
  readonly what: string;
  readonly names: string[];
}

/**
 * What a person wants to see of a new lock, a line for what was built from one source: "openssl 3.5.1-1 → 3.5.1-1+deb13u1
 * (security): libssl3t64, openssl-provider-legacy".
 */
export function diffLocks(old: Lock | undefined, fresh: Lock): string[] {
  if (old === undefined) return [];
  const before = new Map(old.packages.map((locked) => [locked.name, locked]));
  const after = new Map(fresh.packages.map((locked) => [locked.name, locked]));
  const changes = new Map<string, Change>();
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const what = changeOf(before.get(name), after.get(name));
    if (what === undefined) continue;
    const source = sourceNameOf(after.get(name) ?? before.get(name)!);
    const key = `${source} ${what}`;
    const change = changes.get(key) ?? { source, what, names: [] };
    change.names.push(name);
    changes.set(key, change);
  }
  return [...changes.values()]
    .sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : 0))
    .map(lineOf);
}

function changeOf(was: LockedPackage | undefined, is: LockedPackage | undefined): string | undefined {
  if (is === undefined) return `- ${was!.version}`;
  if (was === undefined) return `+ ${is.version}${mark(is)}`;
  if (was.version !== is.version) {
    const down = compareVersions(was.version, is.version) > 0 ? "DOWN " : "";
    return `${down}${was.version} → ${is.version}${mark(is)}`;
  }
  // The same version with another content is not expected of any archive.
  return was.sha256 === is.sha256 ? undefined : `${is.version} has another content${mark(is)}`;
}

function lineOf({ source, what, names }: Change): string {
  const [, sign = "", rest = ""] = /^([+-] |DOWN )?(.*)$/.exec(what) ?? [];
  const others = names.length === 1 && names[0] === source ? "" : `: ${names.join(", ")}`;
  return `${sign}${source} ${rest}${others}`;
}

function mark({ archive, suite }: LockedPackage): string {
  if (archive === "debian-security" || suite?.endsWith("-security")) return " (security)";
  if (suite?.endsWith("-backports")) return " (backports)";
  return archive === "debian" ? "" : ` (${archive})`;
}

function sourceNameOf({ name, source }: LockedPackage): string {
  return sourceOf({ name, source: source ?? "" });
}
