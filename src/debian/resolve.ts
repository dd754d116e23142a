import { Fail } from "../util/fail.ts";
import { type Dependency, parseDependencies, showDependency } from "./dependency.ts";
import type { Candidate } from "./index.ts";
import { Pool } from "./pool.ts";

export interface Resolution {
  /** Dependencies before dependents where there is no cycle, the bootstrap set first. */
  readonly packages: readonly Candidate[];
  readonly bootstrap: ReadonlySet<string>;
  readonly requested: ReadonlySet<string>;
}

interface Wish {
  readonly by: string;
  readonly field: string;
  readonly dependency: Dependency;
}

/**
 * Chooses packages as apt does in an empty root: Essential and required packages, apt, and what was asked for, then
 * their dependencies. An alternative that is chosen already is taken before the first one listed.
 */
export function resolve(
  candidates: readonly Candidate[],
  request: { readonly install: readonly string[]; readonly recommends: boolean; readonly suite: string },
): Resolution {
  const pool = new Pool(candidates);
  const chosen = new Map<string, Candidate>();
  const why = new Map<string, string>();
  const pending: Wish[] = [];
  const choose = (candidate: Candidate, reason: string) => {
    if (chosen.has(candidate.name)) return;
    chosen.set(candidate.name, candidate);
    why.set(candidate.name, reason);
    pending.push(...wishesOf(candidate, request.recommends));
  };
  const essential = [...pool.all()].filter((one) => one.essential);
  for (const name of request.install) choose(requested(name, pool, request.suite), "the definition");
  for (const candidate of essential) choose(candidate, "Essential");
  for (const candidate of pool.all())
    if (candidate.priority === "required") choose(candidate, "Priority: required");
  const apt = pool.get("apt");
  if (apt !== undefined) choose(apt, "the package manager");

  settle(pool, chosen, why, pending, choose, request.suite);
  refuseConflicts(pool, chosen, why);
  const bootstrap = closure(
    pool,
    chosen,
    essential.map((one) => one.name),
  );
  const names = new Set(request.install.map((name) => requested(name, pool, request.suite).name));
  return { packages: order(pool, chosen, bootstrap), bootstrap, requested: names };
}

/** First everything that leaves no choice, then one choice at a time, so that choices see as much as can be known. */
function settle(
  pool: Pool,
  chosen: ReadonlyMap<string, Candidate>,
  why: ReadonlyMap<string, string>,
  pending: Wish[],
  choose: (candidate: Candidate, reason: string) => void,
  suite: string,
): void {
  let open: Wish[] = [];
  for (;;) {
    for (let wish = pending.shift(); wish !== undefined; wish = pending.shift()) {
      if (pool.isSatisfied(wish.dependency, chosen)) continue;
      const options = optionsOf(pool, wish.dependency, chosen);
      if (options.length === 1 && wish.dependency.length === 1) choose(options[0]!, reasonOf(wish));
      else if (options.length > 0) open.push(wish);
      else if (wish.field !== "Recommends") throw unsatisfiable(pool, wish, chosen, why, suite);
    }
    open = open.filter((wish) => !pool.isSatisfied(wish.dependency, chosen));
    const next = open.shift();
    if (next === undefined) return;
    const [first] = optionsOf(pool, next.dependency, chosen);
    if (first !== undefined) choose(first, reasonOf(next));
    else if (next.field !== "Recommends") throw unsatisfiable(pool, next, chosen, why, suite);
  }
}

/** Candidates for a dependency in order of preference, without those that a chosen package excludes. */
function optionsOf(pool: Pool, dependency: Dependency, chosen: ReadonlyMap<string, Candidate>): Candidate[] {
  const all = [...new Set(dependency.flatMap((possibility) => pool.satisfying(possibility)))];
  return all.filter((candidate) => [...chosen.values()].every((other) => !exclude(pool, candidate, other)));
}

function wishesOf(candidate: Candidate, recommends: boolean): Wish[] {
  const of = (field: string, text: string) =>
    parseDependencies(text).map((dependency) => ({ by: candidate.name, field, dependency }));
  return [
    ...of("Pre-Depends", candidate.preDepends),
    ...of("Depends", candidate.depends),
    ...(recommends ? of("Recommends", candidate.recommends) : []),
  ];
}

function requested(name: string, pool: Pool, suite: string): Candidate {
  const own = pool.get(name);
  if (own !== undefined) return own;
  const providers = pool.satisfying({ name });
  if (providers.length === 1) return providers[0]!;
  if (providers.length > 1)
    throw new Fail(`${name} is a virtual package`, {
      hint: `ask for one that provides it: ${providers
        .slice(0, 8)
        .map((one) => one.name)
        .join(", ")}`,
    });
  const near = nearest(name, pool.names());
  throw new Fail(
    `there is no package ${name} in ${suite}`,
    near.length === 0 ? {} : { hint: `did you mean ${near.join(", ")}?` },
  );
}

function unsatisfiable(
  pool: Pool,
  wish: Wish,
  chosen: ReadonlyMap<string, Candidate>,
  why: ReadonlyMap<string, string>,
  suite: string,
): Fail {
  const available = wish.dependency.flatMap(({ name }) => {
    const own = pool.get(name);
    if (own === undefined) return [`${name} is not in ${suite}`];
    const rival = [...chosen.values()].find((other) => exclude(pool, own, other));
    return [
      rival === undefined
        ? `${suite} has ${name} ${own.version}`
        : `${name} and ${rival.name} exclude each other (${chain(rival.name, why)})`,
    ];
  });
  return new Fail(
    `${chain(wish.by, why)} → ${wish.field} ${showDependency(wish.dependency)}, but ${available.join("; ")}`,
    { hint: "drop or replace one of the packages in this chain" },
  );
}

function refuseConflicts(
  pool: Pool,
  chosen: ReadonlyMap<string, Candidate>,
  why: ReadonlyMap<string, string>,
): void {
  const all = [...chosen.values()];
  for (const one of all)
    for (const other of all)
      if (one.name < other.name && exclude(pool, one, other))
        throw new Fail(
          `${one.name} and ${other.name} cannot be installed together (${chain(one.name, why)}; ${chain(other.name, why)})`,
          { hint: "one of them has to go" },
        );
}

const exclusions = new WeakMap<Candidate, Dependency[]>();

function exclude(pool: Pool, a: Candidate, b: Candidate): boolean {
  return a !== b && (excludes(pool, a, b) || excludes(pool, b, a));
}

function excludes(pool: Pool, a: Candidate, b: Candidate): boolean {
  let list = exclusions.get(a);
  if (list === undefined) {
    list = parseDependencies([a.conflicts, a.breaks].filter((text) => text !== "").join(", "));
    exclusions.set(a, list);
  }
  return list.some(([possibility]) => pool.matches(b, possibility!));
}

function closure(pool: Pool, chosen: ReadonlyMap<string, Candidate>, roots: readonly string[]): Set<string> {
  const names = new Set<string>();
  const visit = (name: string) => {
    const candidate = chosen.get(name);
    if (candidate === undefined || names.has(name)) return;
    names.add(name);
    for (const target of targets(pool, candidate, chosen)) visit(target);
  };
  for (const root of roots) visit(root);
  return names;
}

function order(
  pool: Pool,
  chosen: ReadonlyMap<string, Candidate>,
  bootstrap: ReadonlySet<string>,
): Candidate[] {
  const done = new Set<string>();
  const sorted: Candidate[] = [];
  const visit = (candidate: Candidate) => {
    if (done.has(candidate.name)) return;
    done.add(candidate.name);
    for (const name of targets(pool, candidate, chosen)) visit(chosen.get(name)!);
    sorted.push(candidate);
  };
  const byName = [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const candidate of byName) if (bootstrap.has(candidate.name)) visit(candidate);
  for (const candidate of byName) visit(candidate);
  return sorted;
}

/** Names of the chosen packages that a package's Pre-Depends and Depends lead to. */
function targets(pool: Pool, candidate: Candidate, chosen: ReadonlyMap<string, Candidate>): string[] {
  return wishesOf(candidate, false).flatMap(({ dependency }) => {
    for (const possibility of dependency) {
      const found = pool.satisfying(possibility).find((one) => chosen.get(one.name) === one);
      if (found !== undefined) return [found.name];
    }
    return [];
  });
}

/** "nginx ← the definition" told forwards: "the definition → nginx → nginx-common". */
function chain(name: string, why: ReadonlyMap<string, string>): string {
  const path = [name];
  for (let at = why.get(name); at !== undefined && path.length < 20; at = why.get(at)) path.unshift(at);
  return path.join(" → ");
}

function reasonOf(wish: Wish): string {
  return wish.by;
}

function nearest(name: string, names: Iterable<string>): string[] {
  const found: { name: string; distance: number }[] = [];
  for (const each of names) {
    if (Math.abs(each.length - name.length) > 2) continue;
    const distance = editDistance(name, each, 2);
    if (distance <= 2) found.push({ name: each, distance });
  }
  return found
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map((one) => one.name);
}

function editDistance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_none, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    if (Math.min(...next) > limit) return limit + 1;
    row = next;
  }
  return row[b.length]!;
}
