import type { Candidate } from "../package/candidate.ts";
import type { Marks } from "./marks.ts";
import { isCritical, type Need, type Pool } from "./pool.ts";
import { scoresOf } from "./scores.ts";

/** apt's bound; what is not settled by then is not settled at all. */
const maxRounds = 20;

/**
 * Settles what the choices left broken as apt's problem resolver does where nothing is installed yet: of two packages that
 * conflict the one with fewer points goes, what then lacks a dependency goes after it, and what was asked for stays and is
 * given another alternative.
 */
export function repair(pool: Pool, marks: Marks, requested: ReadonlySet<string>): void {
  const scores = scoresOf(pool, marks.chosen(), requested);
  const scoreOf = (name: string) => scores.get(name) ?? 0;
  const names = [...marks.chosen().keys()].sort(
    (a, b) => scoreOf(b) - scoreOf(a) || pool.package(a).rank - pool.package(b).rank,
  );
  for (let round = 0, changed = true; changed && round < maxRounds; round += 1) {
    changed = false;
    for (const name of names) {
      const candidate = marks.chosenVersion(name);
      if (candidate === undefined || marks.isReady(candidate)) continue;
      if (settle(pool, marks, candidate, scores, round)) changed = true;
    }
  }
}

function settle(
  pool: Pool,
  marks: Marks,
  candidate: Candidate,
  scores: Map<string, number>,
  round: number,
): boolean {
  const { name } = candidate;
  const { needs, exclusions } = pool.relations(candidate);
  const fixed = marks.isFixed(name);
  let changed = false;
  for (const need of needs) {
    if (!isCritical(need) || marks.isMet(need)) continue;
    if (fixed) changed = another(pool, marks, need) || changed;
    else return marks.drop(name);
  }
  const rivals = new Set<string>();
  for (const exclusion of exclusions)
    for (const target of pool.excluded(candidate, exclusion)) {
      if (marks.chosenVersion(target.name) !== target) continue;
      const stronger = (scores.get(name) ?? 0) > (scores.get(target.name) ?? 0);
      if (!stronger && !fixed) return marks.drop(name);
      if (stronger && !marks.isFixed(target.name)) rivals.add(target.name);
    }
  for (const rival of rivals) {
    const dropped = marks.drop(rival);
    if (dropped) changed = true;
    if (dropped && round <= 1) continue;
    if ((scores.get(name) ?? 0) > (scores.get(rival) ?? 0)) {
      scores.set(rival, scores.get(name) ?? 0);
      changed = true;
    }
  }
  return changed;
}

/** Another way to what a requested package needs: any package that can be installed with those chosen. */
function another(pool: Pool, marks: Marks, need: Need): boolean {
  for (const possibility of need.dependency)
    for (const target of pool.targets(possibility)) {
      if (marks.candidate(target.name) !== target || marks.isFixed(target.name)) continue;
      marks.add(target);
      if (marks.isReady(target)) return true;
      marks.drop(target.name);
    }
  return false;
}
