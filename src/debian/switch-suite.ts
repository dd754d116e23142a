import type { Candidate } from "./candidate.ts";
import type { Possibility } from "./dependency.ts";
import type { Marks } from "./marks.ts";
import { isSuite } from "./policy.ts";
import { isCritical, type Pool } from "./pool.ts";

/**
 * "nginx/trixie-backports" takes that suite's version, and that suite's versions of what it needs in turn, where what would be
 * taken otherwise does not do: as apt does, which asks whether that could be installed with what is chosen by then.
 */
export function switchSuite(
  pool: Pool,
  marks: Marks,
  asked: readonly { readonly candidate: Candidate; readonly suite: string }[],
  recommends: boolean,
): void {
  const changed = new Set<string>();
  const follow = (candidate: Candidate, suite: string): boolean => {
    marks.setCandidate(candidate);
    for (const need of pool.relations(candidate).needs) {
      if (!isCritical(need) && !(recommends && need.field === "Recommends")) continue;
      if (need.dependency.some((possibility) => isFine(pool, marks, possibility))) continue;
      const switched = need.dependency.some((possibility, index) => {
        if (possibility.relation === undefined) return false;
        const version = pool.package(possibility.name).versions.find((one) => isSuite(one.origin, suite));
        if (version === undefined || !pool.targets(possibility).includes(version)) return false;
        const before = marks.candidate(possibility.name);
        if (before === version && changed.has(version.name)) return true;
        changed.add(version.name);
        if (follow(version, suite)) return true;
        if (index < need.dependency.length - 1 && before !== undefined) {
          marks.setCandidate(before);
          changed.delete(version.name);
        }
        return false;
      });
      if (!switched && isCritical(need)) return false;
    }
    return true;
  };
  for (const { candidate } of asked) marks.setCandidate(candidate);
  for (const { candidate, suite } of asked) {
    changed.add(candidate.name);
    follow(candidate, suite);
  }
}

/** What would be chosen satisfies it, and could be installed as things are. */
function isFine(pool: Pool, marks: Marks, possibility: Possibility): boolean {
  const isReady = (candidate: Candidate | undefined) =>
    candidate !== undefined && marks.candidate(candidate.name) === candidate && marks.isReady(candidate);
  const targets = pool.targets(possibility);
  // To apt "python3:any" is a virtual package, that python3 provides.
  const named = possibility.arch === "any" ? "" : possibility.name;
  const own = targets.filter(({ name }) => name === named);
  if (possibility.relation !== undefined) return own.some(isReady);
  const providers = targets.filter(({ name }) => name !== named);
  return (providers.length > 0 ? providers : own).some(isReady);
}
