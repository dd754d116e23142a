import type { Candidate } from "../package/candidate.ts";
import { isCritical, type Pool } from "./pool.ts";

/**
 * Which versions of an older lock are kept when only some packages are to become newer: all that are in the indices yet, but
 * what cannot stand beside the newer ones, and beside what is `asked` for as well. `renewed` says what is to be taken in the
 * version that the policy prefers.
 */
export function versionsToKeep(
  pool: Pool,
  locked: ReadonlyMap<string, { readonly version: string; readonly sha256: string }>,
  renewed: (candidate: Candidate) => boolean,
  asked: readonly string[] = [],
): Map<string, Candidate> {
  const kept = new Map<string, Candidate>();
  for (const [name, { version, sha256 }] of locked) {
    const found = pool
      .package(name)
      .versions.find((candidate) => candidate.version === version && candidate.sha256 === sha256);
    if (found !== undefined && !renewed(found)) kept.set(name, found);
  }
  const taken = (name: string) => kept.get(name) ?? pool.package(name).preferred;
  const isTaken = (one: Candidate) => taken(one.name) === one;
  // Newer packages need others newer, which others need in turn; each round renews at least one.
  for (let changed = true; changed; ) {
    changed = false;
    const renew = (name: string) => {
      changed = kept.delete(name) || changed;
    };
    // What is not in the old lock is met on the way.
    const names = new Set([...locked.keys(), ...asked]);
    for (const name of names) {
      const candidate = taken(name);
      if (candidate === undefined) continue;
      const { needs, exclusions } = pool.relations(candidate);
      for (const need of needs) {
        if (!isCritical(need)) continue;
        const targets = need.dependency.flatMap((possibility) => pool.targets(possibility));
        const met = targets.find(isTaken);
        if (met !== undefined) names.add(met.name);
        if (targets.length === 0 || met !== undefined) continue;
        // Either what it needs has to be newer, or it does itself.
        const better = targets.filter(
          (candidate) => kept.has(candidate.name) && pool.package(candidate.name).preferred === candidate,
        );
        if (better.length > 0) renew(better[0]!.name);
        else renew(name);
      }
      for (const exclusion of exclusions)
        for (const other of pool.excluded(candidate, exclusion))
          if (locked.has(other.name) && isTaken(other)) renew(kept.has(other.name) ? other.name : name);
    }
  }
  return kept;
}
