import { Fail } from "../../util/fail.ts";
import { editDistance } from "../../util/problem.ts";
import type { Candidate } from "../package/candidate.ts";
import { isSuite } from "./policy.ts";
import type { Pool } from "./pool.ts";

/** What a definition may say of a package: "nginx", "nginx=1.26.3-3", "nginx/trixie-backports", "nginx-". */
export interface Wanted {
  readonly name: string;
  readonly version?: string;
  readonly suite?: string;
  readonly refused: boolean;
}

export function parseWanted(text: string): Wanted {
  const [, name, version, suite, minus] = /^([a-z0-9][a-z0-9+.-]*?)(?:=(.+)|\/(.+)|(-))?$/.exec(text) ?? [];
  if (name === undefined) throw new Fail(`"${text}" is not a package, a package=version or a package/suite`);
  return {
    name,
    ...(version === undefined ? {} : { version }),
    ...(suite === undefined ? {} : { suite }),
    refused: minus !== undefined,
  };
}

/** The version that is meant; a virtual name means the one package that provides it. `where` names the suites. */
export function selected(wanted: Wanted, pool: Pool, where: string): Candidate {
  const known = pool.package(wanted.name);
  if (known.versions.length === 0) return providerOf(wanted, pool, where);
  const has = known.versions.map(({ version, origin }) => `${origin.suite} has ${version}`);
  const { version, suite } = wanted;
  if (version !== undefined || suite !== undefined) {
    const found = known.versions.find((one) =>
      version !== undefined ? one.version === version : isSuite(one.origin, suite!),
    );
    if (found !== undefined) return found;
    throw new Fail(
      version === undefined
        ? `there is no package ${wanted.name} in ${suite}`
        : `there is no version ${version} of ${wanted.name}`,
      { hint: [...new Set(has)].join(", ") },
    );
  }
  if (known.preferred !== undefined) return known.preferred;
  throw new Fail(`the pins leave no version of ${wanted.name}`, { hint: [...new Set(has)].join(", ") });
}

function providerOf(wanted: Wanted, pool: Pool, where: string): Candidate {
  const { name } = wanted;
  const providers = pool
    .targets({ name })
    .filter((candidate) => pool.package(candidate.name).preferred === candidate);
  if (providers.length === 1) return providers[0]!;
  if (providers.length > 1)
    throw new Fail(`${name} is a virtual package`, {
      hint: `ask for one that provides it: ${providers
        .map((candidate) => candidate.name)
        .sort()
        .slice(0, 8)
        .join(", ")}`,
    });
  const near = nearest(name, pool.names());
  throw new Fail(
    `there is no package ${name} in ${where}`,
    near.length === 0 ? {} : { hint: `did you mean ${near.join(", ")}?` },
  );
}

function nearest(name: string, names: Iterable<string>): string[] {
  const found: { name: string; distance: number }[] = [];
  for (const each of names) {
    if (Math.abs(each.length - name.length) > 2) continue;
    const distance = editDistance(name, each, 2);
    if (distance <= 2) found.push({ name: each, distance });
  }
  const least = Math.min(...found.map(({ distance }) => distance));
  return found
    .filter(({ distance }) => distance === least)
    .map(({ name: each }) => each)
    .sort()
    .slice(0, 3);
}
