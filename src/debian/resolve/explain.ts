import { Fail } from "../../util/fail.ts";
import type { Candidate } from "../package/candidate.ts";
import { type Possibility, showDependency } from "../package/dependency.ts";
import type { Need } from "./pool.ts";
import type { Conflict, Problem, Reason } from "./search.ts";

/** Alternatives beyond these are counted only. */
const maxShown = 4;
/** How far a reason's own reasons are told. */
const maxDepth = 3;

type Because = Conflict["because"];

/** Tells why nothing satisfies a request: from what was asked for, package by package, to what cannot be. */
export function explain(
  problem: Problem,
  conflict: Conflict,
  about: { readonly standing: ReadonlySet<string> },
): Fail {
  const teller = new Teller(problem, about);
  return new Fail(teller.conflict(conflict, 0), { hint: teller.hint(conflict) });
}

class Teller {
  readonly #problem: Problem;
  readonly #standing: ReadonlySet<string>;

  constructor(problem: Problem, { standing }: { readonly standing: ReadonlySet<string> }) {
    this.#problem = problem;
    this.#standing = standing;
  }

  conflict({ by, need, options, exclusion, because }: Conflict, depth: number): string {
    if (exclusion !== undefined) {
      const { other } = exclusion;
      const links = [...new Set([...this.#links(by, because), ...this.#links(other, because)])];
      const clash = this.#clash(by, exclusion.exclusion, other);
      return [...links, clash].join("; ");
    }
    if (need === undefined) return `${by} is asked for, but ${this.#whyNot(by, because, depth)}`;
    return [...this.#links(by, because), this.#unmet(by, need, options, because, depth)].join("; ");
  }

  hint({ by, because, need, exclusion }: Conflict): string {
    const causes = [...because].flatMap(([name, { reason }]) => (reason.kind === "asked" ? [name] : []));
    if (need === undefined && exclusion === undefined) causes.push(by);
    const asked = causes.filter((name) => !this.#standing.has(name));
    if (asked.length > 1) return `${list(asked)} cannot be had together: drop or replace one of them`;
    const [other] = need === undefined ? [] : this.#passedOver(need);
    if (other !== undefined) return `ask for ${other.name}=${other.version}`;
    const dated = need?.dependency.some(({ relation }) => relation !== undefined);
    return dated
      ? "ask for another version, or add the suite that has it"
      : "drop or replace one of the packages in this chain";
  }

  /** "a needs b; b needs c": from what was asked for down to `name`. */
  #links(name: string, because: Because): string[] {
    const links: string[] = [];
    const seen = new Set<string>();
    for (let at = name; !seen.has(at); ) {
      seen.add(at);
      const reason = because.get(at)?.reason;
      if (reason?.kind !== "only") break;
      const { by, need } = reason;
      const what = showDependency(need.dependency);
      links.unshift(`${by} needs ${what}${what.startsWith(at) ? "" : `, that is ${at}`}`);
      at = by;
    }
    return links;
  }

  #unmet(by: string, need: Need, options: readonly string[], because: Because, depth: number): string {
    const head = `${by} needs ${showDependency(need.dependency)}`;
    if (options.length === 0) {
      const passedOver = this.#passedOver(need);
      if (passedOver.length > 0)
        return `${head}, but ${passedOver
          .map((candidate) => `${shown(candidate)} is passed over for ${this.#taken(candidate.name)}`)
          .join(", ")}`;
      const several = need.dependency.length > 1;
      const has = need.dependency.flatMap((possibility) => this.#has(possibility, several));
      const which = several ? "none of which any suite has" : "which no suite has";
      return `${head}, ${which}${has.length === 0 ? "" : `: ${has.join(", ")}`}`;
    }
    const reasons = options.slice(0, maxShown).map((name) => this.#whyNot(name, because, depth));
    const more = options.length > maxShown ? [`${options.length - maxShown} more cannot either`] : [];
    return `${head}, but ${[...new Set(reasons), ...more].join(", ")}`;
  }

  /** Versions that would do, of packages of which another version is taken. */
  #passedOver({ dependency }: Need): Candidate[] {
    const { pool, candidateOf } = this.#problem;
    return dependency
      .flatMap((possibility) => pool.targets(possibility).slice(0, 1))
      .filter(({ name }) => candidateOf(name) !== undefined)
      .slice(0, maxShown);
  }

  #taken(name: string): string {
    const taken = this.#problem.candidateOf(name);
    return taken === undefined ? "nothing" : `${taken.version} of ${taken.origin.suite}`;
  }

  /** What the suites have of a name whose version does not do. */
  #has({ name }: Possibility, named: boolean): string[] {
    const { versions } = this.#problem.pool.package(name);
    const what = named ? `${name} ` : "";
    return [...new Set(versions.map(({ origin, version }) => `${origin.suite} has ${what}${version}`))];
  }

  #whyNot(name: string, because: Because, depth: number): string {
    const reason: Reason | undefined = because.get(name)?.reason;
    if (reason === undefined) return `${name} cannot be installed`;
    if (reason.kind === "refused") return `${name} is refused by the definition`;
    if (reason.kind === "excluded") {
      const { by, exclusion } = reason;
      const links = this.#links(by, because);
      const clash = this.#clash(by, exclusion, name);
      return links.length === 0 || depth >= maxDepth ? clash : `${clash} (${links.join("; ")})`;
    }
    if (reason.kind === "tried" && depth < maxDepth)
      return this.conflict(reason.conflict, depth + 1).replaceAll("; ", ", ");
    return `${name} cannot be installed`;
  }

  #clash(by: string, { field, what }: { field: string; what: Possibility }, other: string): string {
    const verb = field === "Breaks" ? "breaks" : "conflicts with";
    const provided = what.name === other ? "" : `, which ${other} provides`;
    return `${by} ${verb} ${showDependency([what])}${provided}`;
  }
}

function shown({ name, version, origin }: Candidate): string {
  return `${name} ${version} of ${origin.suite}`;
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
