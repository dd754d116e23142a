import type { Candidate } from "../package/candidate.ts";
import type { Pool } from "./pool.ts";

const priorities = ["required", "important", "standard", "optional", "extra"];

/**
 * Which of several packages that satisfy one name comes first, as apt has it: the package of that name, Essential ones, those
 * of higher priority, and of equal ones the one that the indices mention last. `named` is empty where no package has the name.
 */
export function comparePreference(pool: Pool, named: string): (a: Candidate, b: Candidate) => number {
  const ranks = new Map<Candidate, readonly number[]>();
  const rank = (candidate: Candidate): readonly number[] => {
    let found = ranks.get(candidate);
    if (found === undefined) {
      const { essential, important, rank: met } = pool.package(candidate.name);
      const priority = priorities.indexOf(candidate.priority);
      found = [
        candidate.name === named ? 0 : 1,
        essential ? 0 : 1,
        important ? 0 : 1,
        priority < 0 ? priorities.length : priority,
        -met,
      ];
      ranks.set(candidate, found);
    }
    return found;
  };
  return (a, b) => {
    const [one, two] = [rank(a), rank(b)];
    for (const [index, value] of one.entries()) if (value !== two[index]) return value - two[index]!;
    return 0;
  };
}
