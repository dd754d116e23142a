import type { Dependency, Possibility } from "./dependency.ts";
import { parseDependencies } from "./dependency.ts";
import type { Candidate } from "./index.ts";
import { compareVersions, satisfies } from "./version.ts";

interface Provider {
  readonly candidate: Candidate;
  /** Version of a versioned Provides. */
  readonly version: string | undefined;
}

const priorities = ["required", "important", "standard", "optional", "extra"];

/** The newest version of every package, and who provides what. */
export class Pool {
  readonly #byName = new Map<string, Candidate>();
  readonly #providers = new Map<string, Provider[]>();

  constructor(candidates: readonly Candidate[]) {
    for (const candidate of candidates) {
      const known = this.#byName.get(candidate.name);
      if (known === undefined || compareVersions(candidate.version, known.version) > 0)
        this.#byName.set(candidate.name, candidate);
    }
    for (const candidate of this.#byName.values()) {
      for (const [one] of parseDependencies(candidate.provides)) {
        const list = this.#providers.get(one!.name) ?? [];
        list.push({ candidate, version: one!.version });
        this.#providers.set(one!.name, list);
      }
    }
  }

  get(name: string): Candidate | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<Candidate> {
    return this.#byName.values();
  }

  names(): Iterable<string> {
    return [...this.#byName.keys(), ...this.#providers.keys()];
  }

  /** Everything that satisfies one possibility: the package itself first, then providers by priority and name. */
  satisfying(possibility: Possibility): Candidate[] {
    const own = this.#byName.get(possibility.name);
    const found = own !== undefined && fits(own.version, possibility) ? [own] : [];
    const providers = (this.#providers.get(possibility.name) ?? [])
      .filter(({ candidate, version }) => candidate !== own && providesFit(version, possibility))
      .map(({ candidate }) => candidate)
      .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    return [...found, ...providers];
  }

  /** Whether `candidate`, as itself or by what it provides, satisfies a possibility. */
  matches(candidate: Candidate, possibility: Possibility): boolean {
    if (candidate.name === possibility.name) return fits(candidate.version, possibility);
    return (this.#providers.get(possibility.name) ?? []).some(
      (one) => one.candidate === candidate && providesFit(one.version, possibility),
    );
  }

  isSatisfied(dependency: Dependency, chosen: ReadonlyMap<string, Candidate>): boolean {
    return dependency.some((possibility) =>
      this.satisfying(possibility).some((candidate) => chosen.get(candidate.name) === candidate),
    );
  }
}

function fits(version: string, { relation, version: wanted }: Possibility): boolean {
  return relation === undefined || satisfies(version, relation, wanted!);
}

/** An unversioned Provides satisfies only an unversioned dependency (Debian Policy 7.5). */
function providesFit(version: string | undefined, possibility: Possibility): boolean {
  if (possibility.relation === undefined) return true;
  return version !== undefined && fits(version, possibility);
}

function rank(candidate: Candidate): number {
  const index = priorities.indexOf(candidate.priority);
  return index < 0 ? priorities.length : index;
}
