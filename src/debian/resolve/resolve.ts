import { Fail } from "../../util/fail.ts";
import type { Candidate } from "../package/candidate.ts";
import { explain } from "./explain.ts";
import { Marks } from "./marks.ts";
import { isCritical, type Pool } from "./pool.ts";
import { repair } from "./repair.ts";
import { parseWanted, selected, type Wanted } from "./request.ts";
import { search } from "./search.ts";
import { switchSuite, switchVersions } from "./switch-suite.ts";

export interface Resolution {
  /** Dependencies before dependents where there is no cycle, the bootstrap set first. */
  readonly packages: readonly Candidate[];
  readonly bootstrap: ReadonlySet<string>;
  readonly requested: ReadonlySet<string>;
  /** Names of the chosen packages that a package's Pre-Depends and Depends lead to. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
}

interface Request {
  /** "nginx", "nginx=1.26.3-3", "nginx/trixie-backports", "nginx-". */
  readonly install: readonly string[];
  readonly recommends: boolean;
  /** The release, for messages. */
  readonly suite: string;
  /** Versions that are taken in place of those that the policy prefers, as an older lock's. */
  readonly prefer?: readonly Candidate[];
}

/**
 * Chooses packages as `apt-get install` does in an empty root that is asked for the Essential and the required packages, apt,
 * and the request. Where apt's way, which never takes a choice back, ends in conflicts, the choices are searched through.
 */
export function resolve(pool: Pool, request: Request): Resolution {
  const wanted = request.install.map(parseWanted);
  const { essential, required } = pool.standing();
  const installed = choose(pool, request, [...essential, ...required, "apt"]);
  const bootstrap = closure(pool, installed, essential);
  const requested = wanted
    .filter(({ refused }) => !refused)
    .map((wish) => selected(wish, pool, request.suite).name);
  const needs = new Map([...installed].map(([name, one]) => [name, targets(pool, one, installed)]));
  return {
    packages: order(needs, bootstrap).map((name) => installed.get(name)!),
    bootstrap,
    requested: new Set(requested),
    needs,
  };
}

interface Asked {
  readonly candidate: Candidate;
  /** Of which suite or version it must be; neither where any will do. */
  readonly suite: string | undefined;
  readonly version: string | undefined;
}

function choose(pool: Pool, request: Request, standing: readonly string[]): ReadonlyMap<string, Candidate> {
  const { recommends, suite, prefer } = request;
  const wanted = request.install.map(parseWanted);
  const refused = new Set(wanted.filter((want) => want.refused).map(({ name }) => name));
  const fresh = () => {
    const marks = new Marks(pool, { recommends });
    for (const candidate of prefer ?? []) marks.setCandidate(candidate);
    for (const name of refused) marks.refuse(name);
    return marks;
  };
  const marks = fresh();
  const asked = wanted.filter((wish) => !wish.refused).map((wish) => askedFor(wish, pool, marks, suite));
  refuseContradictions(asked, refused);
  const always = standing.filter((name) => pool.package(name).preferred !== undefined);
  const names = [...new Set([...always, ...asked.map(({ candidate }) => candidate.name)])];
  for (const { candidate } of asked) marks.setCandidate(candidate);
  marks.take(names);
  switchSuite(
    pool,
    marks,
    asked.flatMap(({ candidate, suite: from }) => (from === undefined ? [] : [{ candidate, suite: from }])),
    recommends,
  );
  let candidateOf = marks.snapshot();
  marks.follow(names);
  if (!marks.isSound()) repair(pool, marks, new Set(names));
  if (marks.isSound()) return marks.installed();
  const named = asked.filter((choice) => choice.suite !== undefined || choice.version !== undefined);
  let preferred = marks.installed();
  if (named.length > 0) {
    const again = fresh();
    switchVersions(pool, again, named, names);
    again.take(names);
    candidateOf = again.snapshot();
    again.follow(names);
    if (again.isSound()) return again.installed();
    preferred = again.installed();
  }
  const problem = { pool, names, candidateOf, refused };
  const found = search(problem, { recommends, prefer: preferred });
  if (found instanceof Map) return found;
  throw explain(problem, found, { standing: new Set(standing) });
}

function refuseContradictions(asked: readonly Asked[], refused: ReadonlySet<string>): void {
  const exact = new Map<string, Candidate>();
  for (const { candidate, suite, version } of asked) {
    const { name } = candidate;
    if (refused.has(name))
      throw new Fail(`${name} is both asked for and refused`, { hint: `drop ${name} or ${name}-` });
    if (suite === undefined && version === undefined) continue;
    const other = exact.get(name);
    if (other !== undefined && other !== candidate)
      throw new Fail(`${name} is asked for in two versions, ${other.version} and ${candidate.version}`, {
        hint: "drop one of them",
      });
    exact.set(name, candidate);
  }
}

function askedFor(wanted: Wanted, pool: Pool, marks: Marks, where: string): Asked {
  const { suite, version } = wanted;
  const found = selected(wanted, pool, where);
  const any = suite === undefined && version === undefined;
  return { candidate: any ? (marks.candidate(found.name) ?? found) : found, suite, version };
}

function closure(
  pool: Pool,
  installed: ReadonlyMap<string, Candidate>,
  roots: readonly string[],
): Set<string> {
  const names = new Set<string>();
  const visit = (name: string) => {
    const candidate = installed.get(name);
    if (candidate === undefined || names.has(name)) return;
    names.add(name);
    for (const target of targets(pool, candidate, installed)) visit(target);
  };
  for (const root of roots) visit(root);
  return names;
}

/** By name, and before each what it needs; the bootstrap set first. */
export function order(
  needs: ReadonlyMap<string, readonly string[]>,
  bootstrap: ReadonlySet<string>,
): string[] {
  const done = new Set<string>();
  const sorted: string[] = [];
  const visit = (name: string) => {
    if (done.has(name)) return;
    done.add(name);
    for (const other of needs.get(name) ?? []) visit(other);
    sorted.push(name);
  };
  const names = [...needs.keys()].sort();
  for (const name of names) if (bootstrap.has(name)) visit(name);
  for (const name of names) visit(name);
  return sorted;
}

function targets(pool: Pool, candidate: Candidate, installed: ReadonlyMap<string, Candidate>): string[] {
  const names = pool
    .relations(candidate)
    .needs.filter(isCritical)
    .flatMap(({ dependency }) => {
      for (const possibility of dependency) {
        const found = pool
          .targets(possibility)
          .find((candidate) => installed.get(candidate.name) === candidate);
        if (found !== undefined) return [found.name];
      }
      return [];
    });
  return [...new Set(names)];
}
