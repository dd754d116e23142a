import type { Candidate } from "../package/candidate.ts";
import type { Possibility } from "../package/dependency.ts";
import type { Pool } from "./pool.ts";

/** What apt's problem resolver counts, with its weights. */
const priorityPoints: Readonly<Record<string, number>> = {
  required: 3,
  important: 2,
  standard: 1,
  optional: -1,
};
const extraPoints = -2;
const essentialPoints = 100;
const askedPoints = 10_000;
const keepEssentialPoints = 5_000;

/** How much would break without each package: of two that conflict the one with more points stays. */
export function scoresOf(
  pool: Pool,
  installed: ReadonlyMap<string, Candidate>,
  requested: ReadonlySet<string>,
): Map<string, number> {
  const scores = new Map<string, number>();
  const add = (name: string, points: number) => scores.set(name, (scores.get(name) ?? 0) + points);
  const isVital = (name: string) => pool.package(name).essential || pool.package(name).important;
  const dependents: { readonly on: string; readonly by: string }[] = [];
  for (const [name, candidate] of installed) {
    if (isVital(name)) add(name, essentialPoints);
    add(name, priorityPoints[candidate.priority] ?? extraPoints);
    for (const { what, points } of mentions(pool, candidate)) {
      const named = what.arch === "any" ? "" : what.name;
      const targets = pool
        .targets(what)
        .filter(
          (candidate) =>
            installed.get(candidate.name) === candidate && (points > 0 || candidate.name !== name),
        );
      if (named !== "" && points > 0) dependents.push({ on: named, by: name });
      const own = targets.some((candidate) => candidate.name === named);
      if (named !== "" && (points > 0 || named !== name)) {
        if (what.relation !== undefined && !own) continue;
        add(named, points);
      }
      for (const provider of new Set(targets.map((candidate) => candidate.name)))
        if (provider !== named) add(provider, points);
    }
  }
  const before = new Map(scores);
  for (const { on, by } of dependents) if (installed.has(on)) add(on, Math.max(0, before.get(by) ?? 0));
  for (const name of installed.keys()) {
    const gained = Math.abs((scores.get(name) ?? 0) - (before.get(name) ?? 0));
    for (const provider of gained === 0 ? [] : pool.targets({ name }))
      if (provider.name !== name && installed.get(provider.name) === provider) add(provider.name, gained);
  }
  for (const name of installed.keys()) {
    if (requested.has(name)) add(name, askedPoints);
    if (isVital(name)) add(name, keepEssentialPoints);
  }
  return scores;
}

/** Everything that a version's fields name, with what being named there is worth. */
function mentions(
  pool: Pool,
  candidate: Candidate,
): { readonly what: Possibility; readonly points: 1 | -1 }[] {
  const { needs, exclusions } = pool.relations(candidate);
  return [
    ...needs
      .filter(({ field }) => field !== "Suggests")
      .flatMap(({ dependency }) => dependency.map((what) => ({ what, points: 1 as const }))),
    ...exclusions.map(({ what }) => ({ what, points: -1 as const })),
  ];
}
