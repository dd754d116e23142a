import { Fail } from "../../util/fail.ts";

/** One name in a dependency, with its version condition when it has one. */
export interface Possibility {
  readonly name: string;
  /** Behind the colon: "any", "native" or an architecture. */
  readonly arch?: string;
  readonly relation?: string;
  readonly version?: string;
}

/** Alternatives, the first preferred. */
export type Dependency = readonly Possibility[];

/** Parses `Depends`-like fields of binary packages: "a (>= 1) | b:any, c". */
export function parseDependencies(field: string | undefined): Dependency[] {
  if (field === undefined || field.trim() === "") return [];
  return field
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => part.split("|").map((each) => parsePossibility(each.trim())));
}

function parsePossibility(text: string): Possibility {
  const match =
    /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([A-Za-z0-9][^\s)]*)\s*\))?$/.exec(
      text,
    );
  if (match === null)
    throw new Fail(`"${text}" is not a dependency`, { hint: "the package index is damaged" });
  const [, name, arch, relation, version] = match;
  return {
    name: name!,
    ...(arch === undefined ? {} : { arch }),
    ...(relation === undefined ? {} : { relation, version: version! }),
  };
}

export function showDependency(dependency: Dependency): string {
  return dependency
    .map(({ name, arch, relation, version }) => {
      const full = arch === undefined ? name : `${name}:${arch}`;
      return relation === undefined ? full : `${full} (${relation} ${version})`;
    })
    .join(" | ");
}
