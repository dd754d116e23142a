import { Fail } from "../../util/fail.ts";
import type { Candidate } from "../package/candidate.ts";
import { type Exclusion, isCritical, type Need, type Pool } from "./pool.ts";
import { comparePreference } from "./preference.ts";

export interface Problem {
  readonly pool: Pool;
  /** What must be installed. */
  readonly names: readonly string[];
  /** The one version that may be chosen of a package. */
  readonly candidateOf: (name: string) => Candidate | undefined;
  readonly refused: ReadonlySet<string>;
}

/** Why a package is chosen or ruled out. */
export type Reason =
  | { readonly kind: "asked" | "choice" | "refused" }
  /** All others that `by` could have instead are ruled out. */
  | { readonly kind: "only"; readonly by: string; readonly need: Need; readonly others: readonly string[] }
  | { readonly kind: "excluded"; readonly by: string; readonly exclusion: Exclusion }
  /** With what was chosen before it, choosing this one ended in a conflict. */
  | { readonly kind: "tried"; readonly with: readonly string[]; readonly conflict: Conflict };

/** Either a need of a chosen package that nothing can satisfy, or two chosen packages that exclude each other. */
export interface Conflict {
  readonly by: string;
  readonly need?: Need;
  readonly options: readonly string[];
  readonly exclusion?: { readonly other: string; readonly exclusion: Exclusion };
  /** Why everything was as it was, as far as it matters. */
  readonly because: ReadonlyMap<string, { readonly value: boolean; readonly reason: Reason }>;
}

/** No request of a person's comes near; it ends what would run for hours. */
const maxConflicts = 20_000;

interface Assigned {
  readonly value: boolean;
  readonly level: number;
  readonly reason: Reason;
}

/**
 * A set of packages without conflicts, or the conflict that no choice avoids. `prefer` is tried first. Complete:
 * each choice that fails is taken back, and not tried again as long as that has its causes.
 */
export function search(
  problem: Problem,
  options: { readonly recommends: boolean; readonly prefer: ReadonlyMap<string, Candidate> },
): Map<string, Candidate> | Conflict {
  let found = new Search(problem, options.prefer).run();
  if (!(found instanceof Map) || !options.recommends) return found;
  // What is recommended comes as far as it can be had beside the rest.
  const names = [...problem.names];
  const tried = new Set<string>();
  for (let open = nextRecommended(problem, found, tried); open !== undefined; ) {
    tried.add(open);
    const more = new Search({ ...problem, names: [...names, open] }, found).run();
    if (more instanceof Map) {
      names.push(open);
      found = more;
    }
    open = nextRecommended(problem, found, tried);
  }
  return found;
}

function nextRecommended(
  { pool, candidateOf, refused }: Problem,
  found: ReadonlyMap<string, Candidate>,
  tried: ReadonlySet<string>,
): string | undefined {
  for (const candidate of found.values())
    for (const { field, dependency } of pool.relations(candidate).needs) {
      if (field !== "Recommends") continue;
      const ways = dependency.flatMap((possibility) =>
        pool
          .targets(possibility)
          .filter((candidate) => candidateOf(candidate.name) === candidate && !refused.has(candidate.name))
          .sort(comparePreference(pool, possibility.name)),
      );
      if (ways.some(({ name }) => found.has(name))) continue;
      const next = ways.find(({ name }) => !tried.has(name));
      if (next !== undefined) return next.name;
    }
  return undefined;
}

class Search {
  readonly #problem: Problem;
  readonly #prefer: ReadonlyMap<string, Candidate>;
  readonly #assigned = new Map<string, Assigned>();
  /** Names in the order in which they were decided. */
  #trail: string[] = [];
  #level = 0;
  readonly #optionsOf = new Map<Need, readonly Candidate[]>();
  /** Needs of chosen packages, to be looked at when one that could satisfy them is ruled out. */
  readonly #watched = new Map<string, { by: string; need: Need }[]>();

  constructor(problem: Problem, prefer: ReadonlyMap<string, Candidate>) {
    this.#problem = problem;
    this.#prefer = prefer;
  }

  run(): Map<string, Candidate> | Conflict {
    for (const name of this.#problem.refused) this.#assign(name, false, { kind: "refused" });
    let conflict: Conflict | undefined;
    for (const name of this.#problem.names)
      if (this.#assigned.get(name)?.value !== true) {
        if (this.#assigned.has(name)) return this.#askedButRuledOut(name);
        conflict ??= this.#decide(name, true, { kind: "asked" });
      }
    for (let conflicts = 0; ; ) {
      if (conflict === undefined) {
        const next = this.#nextChoice();
        if (next === undefined) return this.#result();
        this.#level += 1;
        conflict = this.#decide(next, true, { kind: "choice" });
        continue;
      }
      conflicts += 1;
      if (conflicts > maxConflicts)
        throw new Fail("the packages' dependencies conflict in too many ways", {
          hint: "name one of the alternatives, or a version, in `install`",
        });
      const choices = [...conflict.because].flatMap(([name, { reason }]) =>
        reason.kind === "choice" ? [name] : [],
      );
      if (choices.length === 0) return conflict;
      conflict = this.#takeBack(choices, conflict);
    }
  }

  /** The last of the choices that led here is undone and ruled out, as long as the others stand. */
  #takeBack(choices: readonly string[], conflict: Conflict): Conflict | undefined {
    const levelOf = (name: string) => this.#assigned.get(name)!.level;
    const sorted = [...choices].sort((a, b) => levelOf(a) - levelOf(b));
    const last = sorted.pop()!;
    this.#undoFrom(levelOf(last));
    return this.#decide(last, false, { kind: "tried", with: sorted, conflict });
  }

  #undoFrom(level: number): void {
    while (this.#trail.length > 0 && this.#assigned.get(this.#trail.at(-1)!)!.level >= level)
      this.#assigned.delete(this.#trail.pop()!);
    this.#level = level - 1;
  }

  #assign(name: string, value: boolean, reason: Reason): void {
    this.#assigned.set(name, { value, level: this.#level, reason });
    this.#trail.push(name);
  }

  /** Decides one package and all that follows from it. */
  #decide(name: string, value: boolean, reason: Reason): Conflict | undefined {
    const queue = [name];
    this.#assign(name, value, reason);
    const imply = (other: string, to: boolean, why: Reason) => {
      this.#assign(other, to, why);
      queue.push(other);
    };
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      const conflict = this.#assigned.get(at)!.value ? this.#chosen(at, imply) : this.#ruledOut(at, imply);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  #chosen(name: string, imply: (name: string, value: boolean, reason: Reason) => void): Conflict | undefined {
    const { pool, candidateOf } = this.#problem;
    const candidate = candidateOf(name)!;
    for (const { other, exclusion } of this.#exclusions(candidate)) {
      const there = this.#assigned.get(other);
      if (there?.value === true)
        return this.#conflict({ by: name, options: [], exclusion: { other, exclusion } });
      if (there === undefined) imply(other, false, { kind: "excluded", by: name, exclusion });
    }
    for (const need of pool.relations(candidate).needs) {
      if (!isCritical(need)) continue;
      for (const option of this.#options(need)) {
        const watched = this.#watched.get(option.name) ?? [];
        if (!watched.some((watch) => watch.by === name && watch.need === need))
          watched.push({ by: name, need });
        this.#watched.set(option.name, watched);
      }
      const conflict = this.#follow(name, need, imply);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  #ruledOut(
    name: string,
    imply: (name: string, value: boolean, reason: Reason) => void,
  ): Conflict | undefined {
    for (const { by, need } of this.#watched.get(name) ?? []) {
      if (this.#assigned.get(by)?.value !== true) continue;
      const conflict = this.#follow(by, need, imply);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  #follow(
    by: string,
    need: Need,
    imply: (name: string, value: boolean, reason: Reason) => void,
  ): Conflict | undefined {
    const names = this.#options(need).map((candidate) => candidate.name);
    if (names.some((name) => this.#assigned.get(name)?.value === true)) return undefined;
    const open = names.filter((name) => !this.#assigned.has(name));
    if (open.length === 0) return this.#conflict({ by, need, options: names });
    if (open.length > 1) return undefined;
    imply(open[0]!, true, { kind: "only", by, need, others: names.filter((name) => name !== open[0]) });
    return undefined;
  }

  /** The first need of a chosen package that nothing satisfies yet, and its best option. */
  #nextChoice(): string | undefined {
    const { pool, candidateOf } = this.#problem;
    for (const name of this.#trail) {
      if (this.#assigned.get(name)?.value !== true) continue;
      for (const need of pool.relations(candidateOf(name)!).needs) {
        if (!isCritical(need)) continue;
        const names = this.#options(need).map((candidate) => candidate.name);
        if (names.some((candidate) => this.#assigned.get(candidate)?.value === true)) continue;
        const open = names.filter((candidate) => !this.#assigned.has(candidate));
        return open.find((candidate) => this.#prefer.has(candidate)) ?? open[0];
      }
    }
    return undefined;
  }

  #options(need: Need): readonly Candidate[] {
    let found = this.#optionsOf.get(need);
    if (found === undefined) {
      const { pool, candidateOf } = this.#problem;
      const all = need.dependency.flatMap((possibility) =>
        pool
          .targets(possibility)
          .filter((candidate) => candidateOf(candidate.name) === candidate)
          .sort(comparePreference(pool, possibility.arch === "any" ? "" : possibility.name)),
      );
      found = [...new Set(all)];
      this.#optionsOf.set(need, found);
    }
    return found;
  }

  /** What it excludes. What excludes it ruled it out when it was chosen itself. */
  #exclusions(candidate: Candidate): { other: string; exclusion: Exclusion }[] {
    const { pool, candidateOf } = this.#problem;
    return pool.relations(candidate).exclusions.flatMap((exclusion) =>
      pool
        .excluded(candidate, exclusion)
        .filter((candidate) => candidateOf(candidate.name) === candidate)
        .map((candidate) => ({ other: candidate.name, exclusion })),
    );
  }

  #askedButRuledOut(name: string): Conflict {
    return { by: name, options: [name], because: this.#causes([name]) };
  }

  #conflict(what: Omit<Conflict, "because">): Conflict {
    const { by, options, exclusion } = what;
    const roots = [by, ...options, ...(exclusion === undefined ? [] : [exclusion.other])];
    return { ...what, because: this.#causes(roots) };
  }

  /** Every decision that the given ones rest on. */
  #causes(roots: readonly string[]): Map<string, { value: boolean; reason: Reason }> {
    const causes = new Map<string, { value: boolean; reason: Reason }>();
    const visit = (name: string) => {
      const assigned = this.#assigned.get(name);
      if (assigned === undefined || causes.has(name)) return;
      const { value, reason } = assigned;
      causes.set(name, { value, reason });
      if (reason.kind === "only") for (const other of [reason.by, ...reason.others]) visit(other);
      if (reason.kind === "excluded") visit(reason.by);
      if (reason.kind === "tried") for (const other of reason.with) visit(other);
    };
    for (const root of roots) visit(root);
    return causes;
  }

  #result(): Map<string, Candidate> {
    const chosen = this.#trail.filter((name) => this.#assigned.get(name)!.value);
    return new Map(chosen.map((name) => [name, this.#problem.candidateOf(name)!]));
  }
}
