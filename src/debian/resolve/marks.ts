import type { Candidate } from "../package/candidate.ts";
import { isCritical, type Need, type Pool } from "./pool.ts";
import { comparePreference } from "./preference.ts";

/** What is decided of a package so far. */
interface State {
  /** The version that may be chosen; none where the package turned out to be impossible. */
  candidate: Candidate | undefined;
  install: Candidate | undefined;
  /** Decided for good: asked for, or the only way to what was asked for - or ruled out by it. */
  fixed: boolean;
  requested: boolean;
}

/** Dependencies lead no deeper in any archive; a guard against running for ever. */
const maxDepth = 3000;

/**
 * The choices of apt's classic solver in an empty root: depth first, in the order of the fields, the first alternative that
 * can be installed; a choice that fails is taken back. What leaves no choice to a requested package is fixed, and rules out
 * what it conflicts with. Which provider of a name comes first is apt's order, too.
 */
export class Marks {
  readonly #pool: Pool;
  readonly #recommends: boolean;
  readonly #states = new Map<string, State>();

  constructor(pool: Pool, options: { readonly recommends: boolean }) {
    this.#pool = pool;
    this.#recommends = options.recommends;
  }

  /** The version that counts when only the package is named. */
  candidate(name: string): Candidate | undefined {
    return this.#state(name).candidate;
  }

  setCandidate(candidate: Candidate): void {
    this.#state(candidate.name).candidate = candidate;
  }

  /** Which version may be chosen of each package, as things are now. */
  snapshot(): (name: string) => Candidate | undefined {
    const now = new Map([...this.#states].map(([name, { candidate }]) => [name, candidate]));
    return (name) => (now.has(name) ? now.get(name) : this.#pool.package(name).preferred);
  }

  /** Never to be installed. */
  refuse(name: string): void {
    this.#state(name).fixed = true;
  }

  /** Takes all that is asked for, at first alone, so that each later choice knows of all requests. */
  take(names: readonly string[]): void {
    for (const name of names) {
      const state = this.#state(name);
      state.fixed = true;
      state.requested = true;
      state.install = state.candidate;
    }
  }

  /** Chooses what the packages need, one after another. */
  follow(names: readonly string[]): void {
    for (const name of names) this.#install(name, 0, true);
  }

  /** All that is chosen, what is of no use included. */
  chosen(): Map<string, Candidate> {
    const chosen = new Map<string, Candidate>();
    for (const [name, { install }] of this.#states) if (install !== undefined) chosen.set(name, install);
    return chosen;
  }

  chosenVersion(name: string): Candidate | undefined {
    return this.#states.get(name)?.install;
  }

  isFixed(name: string): boolean {
    return this.#state(name).fixed;
  }

  add(candidate: Candidate): void {
    this.#state(candidate.name).install = candidate;
  }

  /** False for what is fixed. */
  drop(name: string): boolean {
    const state = this.#state(name);
    if (state.fixed) return false;
    state.install = undefined;
    return true;
  }

  /** Whether all that a version must have is there by now, and nothing that it excludes. */
  isReady(candidate: Candidate): boolean {
    return this.#isWhole(candidate, false);
  }

  /** Each dependency it must have can be satisfied by something that is chosen or may be. */
  isPossible(candidate: Candidate): boolean {
    return this.#pool
      .relations(candidate)
      .needs.every(
        (need) =>
          !isCritical(need) ||
          need.dependency.some((possibility) =>
            this.#pool
              .targets(possibility)
              .some((target) => this.#isInstalled(target) || this.#isCandidate(target)),
          ),
      );
  }

  isMet({ dependency }: Need): boolean {
    return dependency.some((possibility) =>
      this.#pool.targets(possibility).some((target) => this.#isInstalled(target)),
    );
  }

  /** What is to be installed, without what was chosen on a way that came to nothing. */
  installed(): Map<string, Candidate> {
    const kept = new Map<string, Candidate>();
    const keep = (name: string) => {
      const { install } = this.#state(name);
      if (install === undefined || kept.has(name)) return;
      kept.set(name, install);
      for (const { dependency } of this.#pool.relations(install).needs)
        for (const possibility of dependency)
          for (const target of this.#pool.targets(possibility))
            if (this.#isInstalled(target)) keep(target.name);
    };
    for (const [name, state] of this.#states) {
      const { essential, important } = this.#pool.package(name);
      if (state.requested || state.fixed || essential || important) keep(name);
    }
    return kept;
  }

  /** Whether every chosen package has what it must have, and nothing that it excludes. */
  isSound(): boolean {
    return [...this.#states.values()].every(
      ({ install }) => install === undefined || this.#isWhole(install, false),
    );
  }

  #install(name: string, depth: number, byUser: boolean): boolean {
    const state = this.#state(name);
    const { candidate } = state;
    if (!byUser && state.install === undefined && (depth > maxDepth || state.fixed)) return false;
    if (candidate === undefined) return false;
    if (!state.fixed && state.install !== undefined && this.#isWhole(state.install, true)) return true;
    if (!this.isPossible(candidate)) {
      if (!state.fixed) state.candidate = undefined;
      return false;
    }
    const failEarly = !state.fixed && !byUser;
    const open = this.#openNeeds(candidate, state.fixed);
    let failed = false;
    if (!this.#excludeOthers(candidate, state.fixed, failEarly)) {
      if (failEarly) return false;
      failed = true;
    }
    state.install = candidate;
    const { fixed } = state;
    // While its dependencies are chosen nothing of theirs may drop it.
    state.fixed = true;
    const satisfied = this.#satisfyAll(open, depth, fixed, byUser);
    state.fixed = fixed;
    if (satisfied) return !failed;
    if (failEarly) {
      state.install = undefined;
      state.candidate = undefined;
    }
    return false;
  }

  #openNeeds(candidate: Candidate, fixed: boolean): Need[] {
    return this.#pool
      .relations(candidate)
      .needs.filter((need) => this.#counts(need) && (fixed || !this.isMet(need)));
  }

  /** Drops what it conflicts with; what is fixed rules the others out for good. False where one of them is fixed itself. */
  #excludeOthers(candidate: Candidate, fixed: boolean, failEarly: boolean): boolean {
    let good = true;
    for (const exclusion of this.#pool.relations(candidate).exclusions)
      for (const target of this.#pool.excluded(candidate, exclusion)) {
        const state = this.#state(target.name);
        if (state.candidate !== target) continue;
        if (state.install !== undefined && state.fixed) {
          if (failEarly) return false;
          good = false;
          continue;
        }
        state.install = undefined;
        if (!fixed) continue;
        state.candidate = undefined;
        state.fixed = true;
      }
    return good;
  }

  #satisfyAll(needs: readonly Need[], depth: number, fixed: boolean, byUser: boolean): boolean {
    let good = true;
    for (const need of needs) {
      if (this.isMet(need)) {
        if (fixed && !this.#fixOnlyWay(need, depth)) good = false;
      } else if (!this.#satisfy(need, depth, fixed) && isCritical(need)) {
        good = false;
        if (!fixed && !byUser) return false;
      }
    }
    return good;
  }

  /** A dependency of something fixed that is met already, and in one way only, fixes that way. */
  #fixOnlyWay(need: Need, depth: number): boolean {
    if (!isCritical(need)) return true;
    const ways = this.#ways(need);
    const [only] = ways;
    if (only === undefined || ways.length > 1) return true;
    const state = this.#state(only.name);
    if (state.fixed) return true;
    state.fixed = true;
    return this.#install(only.name, depth + 1, false);
  }

  #satisfy(need: Need, depth: number, fixed: boolean): boolean {
    const ways = this.#ways(need);
    for (const way of ways) {
      const state = this.#state(way.name);
      if (state.candidate !== way) continue;
      if (fixed && isCritical(need) && ways.length === 1) {
        state.install = way;
        state.fixed = true;
      }
      if (this.#install(way.name, depth + 1, false)) return true;
    }
    return false;
  }

  /** Versions that satisfy a dependency and may be chosen: alternatives as they are listed, providers in apt's order. */
  #ways(need: Need): Candidate[] {
    const ways = need.dependency.flatMap((possibility) => {
      const prefer = comparePreference(this.#pool, possibility.arch === "any" ? "" : possibility.name);
      const isFixed = ({ name }: Candidate) => (this.#state(name).fixed ? 0 : 1);
      return this.#pool
        .targets(possibility)
        .filter((target) => this.#isCandidate(target))
        .sort((a, b) => isFixed(a) - isFixed(b) || prefer(a, b));
    });
    return [...new Set(ways)].filter(({ name }) => {
      const { fixed, install } = this.#state(name);
      return !fixed || install !== undefined;
    });
  }

  /** `all`: Recommends count as well. */
  #isWhole(candidate: Candidate, all: boolean): boolean {
    const { needs, exclusions } = this.#pool.relations(candidate);
    return (
      needs.every((need) => !(isCritical(need) || (all && this.#counts(need))) || this.isMet(need)) &&
      exclusions.every((exclusion) =>
        this.#pool.excluded(candidate, exclusion).every((target) => !this.#isInstalled(target)),
      )
    );
  }

  #counts(need: Need): boolean {
    return isCritical(need) || (this.#recommends && need.field === "Recommends");
  }

  #isInstalled(candidate: Candidate): boolean {
    return this.#states.get(candidate.name)?.install === candidate;
  }

  #isCandidate(candidate: Candidate): boolean {
    return this.#state(candidate.name).candidate === candidate;
  }

  #state(name: string): State {
    let state = this.#states.get(name);
    if (state === undefined) {
      const candidate = this.#pool.package(name).preferred;
      state = { candidate, install: undefined, fixed: false, requested: false };
      this.#states.set(name, state);
    }
    return state;
  }
}
