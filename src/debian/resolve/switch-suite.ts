import { type Candidate, sourceOf } from "../package/candidate.ts";
import type { Possibility } from "../package/dependency.ts";
import type { Marks } from "./marks.ts";
import { isSuite } from "./policy.ts";
import { isCritical, type Pool } from "./pool.ts";

/** A pass more is needed only where a version taken late rules out one before it. */
const maxPasses = 10;

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
        const version = pool
          .package(possibility.name)
          .versions.find((candidate) => isSuite(candidate.origin, suite));
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

/**
 * The same where apt's way failed, since next to nothing is installed in an empty root: anything that is needed in a version that
 * would not be taken, or that cannot be had beside what was taken by then, is taken in one that can, of the suite asked for if
 * that has one.
 */
export function switchVersions(
  pool: Pool,
  marks: Marks,
  asked: readonly { readonly candidate: Candidate; readonly suite: string | undefined }[],
  names: readonly string[],
): void {
  const reached = new Map(asked.map(({ candidate, suite }) => [candidate.name, suite]));
  for (const { candidate } of asked) marks.setCandidate(candidate);
  for (let changed = true, pass = 0; changed && pass < maxPasses; pass += 1) {
    changed = false;
    // What every system has may not fit any more: libc-bin beside another libc6.
    for (const name of names) {
      const candidate = marks.candidate(name);
      if (candidate === undefined || reached.has(name) || marks.isPossible(candidate)) continue;
      for (const { suite } of asked) {
        const other = pool
          .package(name)
          .versions.find(({ origin }) => suite !== undefined && isSuite(origin, suite));
        if (other === undefined || reached.has(name)) continue;
        marks.setCandidate(other);
        reached.set(name, suite);
        changed = true;
      }
    }
    // What is reached on the way is visited in the same pass.
    for (const [name, suite] of reached) {
      const candidate = marks.candidate(name);
      for (const need of candidate === undefined ? [] : pool.relations(candidate).needs) {
        if (!isCritical(need)) continue;
        const targets = need.dependency.flatMap((possibility) => pool.targets(possibility));
        const taken = targets.filter((candidate) => marks.candidate(candidate.name) === candidate);
        const isAsked = ({ origin }: Candidate) => suite !== undefined && isSuite(origin, suite);
        const isSibling = (one: Candidate) => sourceOf(one) === sourceOf(candidate!);
        // What is built from one source belongs together.
        const good = (one: Candidate) =>
          marks.isPossible(one) &&
          (isAsked(one) ||
            !targets.some((other) => other.name === one.name && isAsked(other) && isSibling(other)));
        if (!taken.some(good)) {
          const free = targets.filter(
            (candidate) => !reached.has(candidate.name) && !taken.includes(candidate),
          );
          const other = free.find(isAsked) ?? free[0];
          if (other !== undefined) {
            marks.setCandidate(other);
            reached.set(other.name, suite);
            changed = true;
            continue;
          }
        }
        const next = taken.find((candidate) => isAsked(candidate) && !reached.has(candidate.name));
        if (next !== undefined) reached.set(next.name, suite);
      }
    }
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
