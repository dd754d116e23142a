import { Fail } from "../util/fail.ts";

/** One name in a dependency, with its version condition when it has one. */
export interface Possibility {
  readonly name: string;
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
    /^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([A-Za-z0-9][^\s)]*)\s*\))?$/.exec(
      text,
    );
  if (match === null)
    throw new Fail(`"${text}" is not a dependency`, { hint: "the package index is damaged" });
  const [, name, relation, version] = match;
  return { name: name!, ...(relation === undefined ? {} : { relation, version: version! }) };
}

export function showDependency(dependency: Dependency): string {
  return dependency
    .map(({ name, relation, version }) =>
      relation === undefined ? name : `${name} (${relation} ${version})`,
    )
    .join(" | ");
}
