import { onlyName } from "../../tables/architecture.ts";
import type { Candidate } from "../package/candidate.ts";
import { type Dependency, type Possibility, parseDependencies } from "../package/dependency.ts";
import type { PackageTable } from "../package/package-table.ts";
import { compareVersions, satisfies } from "../package/version.ts";
import { candidateOf, type Policy } from "./policy.ts";

type Field = "Pre-Depends" | "Depends" | "Recommends" | "Suggests";

/** One element of a field, that one of its alternatives has to satisfy. */
export interface Need {
  readonly field: Field;
  readonly dependency: Dependency;
}

/** Of Conflicts and Breaks; they have no alternatives. */
export interface Exclusion {
  readonly field: "Conflicts" | "Breaks";
  readonly what: Possibility;
}

interface Relations {
  /** Pre-Depends, Depends, Recommends, Suggests, as apt follows them. */
  readonly needs: readonly Need[];
  readonly exclusions: readonly Exclusion[];
  readonly provides: readonly Possibility[];
}

interface Package {
  readonly name: string;
  /** How many names the indices mention before this one. */
  readonly rank: number;
  /** The newest first. */
  readonly versions: readonly Candidate[];
  /** What is installed when only the name is asked for. */
  readonly preferred: Candidate | undefined;
  readonly essential: boolean;
  readonly important: boolean;
}

const none: readonly Candidate[] = [];

/** What the indices say, read as far as it is asked for; nothing of it changes. */
export class Pool {
  readonly tables: readonly PackageTable[];
  readonly #policy: Policy;
  readonly #native: string;
  readonly #packages = new Map<string, Package>();
  readonly #relations = new Map<Candidate, Relations>();
  readonly #targets = new Map<string, readonly Candidate[]>();

  constructor(tables: readonly PackageTable[], policy: Policy, native: string = onlyName) {
    this.tables = tables;
    this.#policy = policy;
    this.#native = native;
  }

  /** A name's package; without versions where it is virtual or unknown. */
  package(name: string): Package {
    let found = this.#packages.get(name);
    if (found === undefined) {
      found = this.#read(name);
      this.#packages.set(name, found);
    }
    return found;
  }

  /** Names of the packages that every system has: Essential, then Priority required, sorted, each in a version that is preferred. */
  standing(): { readonly essential: readonly string[]; readonly required: readonly string[] } {
    const of = (field: "essential" | "required", is: (candidate: Candidate) => boolean) =>
      [...new Set(this.tables.flatMap(({ head }) => head[field]))].sort().filter((name) => {
        const { preferred } = this.package(name);
        return preferred !== undefined && is(preferred);
      });
    return {
      essential: of("essential", ({ essential }) => essential),
      required: of("required", ({ priority }) => priority === "required"),
    };
  }

  relations(candidate: Candidate): Relations {
    let found = this.#relations.get(candidate);
    if (found === undefined) {
      const needs = (field: Field, text: string): Need[] =>
        parseDependencies(text).map((dependency) => ({ field, dependency }));
      const exclusions = (field: Exclusion["field"], text: string): Exclusion[] =>
        parseDependencies(text).flatMap((dependency) => dependency.map((what) => ({ field, what })));
      found = {
        needs: [
          ...needs("Pre-Depends", candidate.preDepends),
          ...needs("Depends", candidate.depends),
          ...needs("Recommends", candidate.recommends),
          ...needs("Suggests", candidate.suggests),
        ],
        exclusions: [
          ...exclusions("Conflicts", candidate.conflicts),
          ...exclusions("Breaks", candidate.breaks),
        ],
        provides: parseDependencies(candidate.provides).flat(),
      };
      this.#relations.set(candidate, found);
    }
    return found;
  }

  /** Every version of every package that satisfies a possibility, as itself or by what it provides. */
  targets(possibility: Possibility): readonly Candidate[] {
    const { name, arch = "", relation = "", version = "" } = possibility;
    const key = `${name}:${arch} ${relation} ${version}`;
    let found = this.#targets.get(key);
    if (found === undefined) {
      found = this.#find(possibility);
      this.#targets.set(key, found);
    }
    return found;
  }

  /** What a version must not be installed with; never the package itself, even if it provides it (Debian Policy 7.6.2). */
  excluded(candidate: Candidate, exclusion: Exclusion): readonly Candidate[] {
    return this.targets(exclusion.what).filter(({ name }) => name !== candidate.name);
  }

  /** Every name in the indices, virtual ones too; slow. */
  names(): Set<string> {
    return new Set(this.tables.flatMap((table) => [...table.names()]));
  }

  #read(name: string): Package {
    const versions = this.tables
      .flatMap((table) => table.versions(name))
      .sort((a, b) => compareVersions(b.version, a.version));
    let before = 0;
    let rank: number | undefined;
    for (const table of this.tables) {
      const own = table.rank(name);
      if (own !== undefined) rank ??= before + own;
      before += table.head.names;
    }
    return {
      name,
      rank: rank ?? before,
      versions,
      preferred: candidateOf(versions, this.#policy),
      // apt counts itself among them.
      essential: name === "apt" || versions.some(({ essential }) => essential),
      important: name === "apt" || versions.some(({ important }) => important),
    };
  }

  #find(possibility: Possibility): readonly Candidate[] {
    const { arch } = possibility;
    if (arch !== undefined && !["any", "native", this.#native].includes(arch)) return none;
    // Only packages marked so may stand in for those of another architecture (Multi-Arch: allowed).
    const allowed = ({ multiArch }: Candidate) => arch !== "any" || multiArch === "allowed";
    const own = this.package(possibility.name).versions.filter(
      (candidate) => allowed(candidate) && fits(candidate.version, possibility),
    );
    const providers = [...new Set(this.tables.flatMap((table) => table.providers(possibility.name)))]
      .flatMap((name) => this.package(name).versions)
      .filter(
        (candidate) =>
          allowed(candidate) &&
          !own.includes(candidate) &&
          this.relations(candidate).provides.some(
            ({ name, version }) => name === possibility.name && providesFit(version, possibility),
          ),
      );
    return [...own, ...providers];
  }
}

/** Whether a need must be met; the others are met where it is possible. */
export function isCritical({ field }: Need): boolean {
  return field === "Pre-Depends" || field === "Depends";
}

function fits(version: string, { relation, version: wanted }: Possibility): boolean {
  return relation === undefined || satisfies(version, relation, wanted!);
}

/** An unversioned Provides satisfies only an unversioned dependency (Debian Policy 7.5). */
function providesFit(version: string | undefined, possibility: Possibility): boolean {
  if (possibility.relation === undefined) return true;
  return version !== undefined && fits(version, possibility);
}
