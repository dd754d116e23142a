import type { LockRequest } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { canonicalJson } from "../../util/digest.ts";

/** What a lock answers. The mirror and what is pruned later do not matter. */
export function lockRequest({ system, packages }: Pick<Spec, "system" | "packages">): LockRequest {
  const { distribution, suite, architecture, components, suites, repositories } = system;
  const sorted = (list: readonly string[]) => [...new Set(list)].sort();
  return {
    distribution,
    suite,
    architecture,
    components,
    ...(suites === undefined || suites.length === 0 ? {} : { suites }),
    ...(repositories === undefined || Object.keys(repositories).length === 0
      ? {}
      : {
          repositories: Object.fromEntries(
            Object.entries(repositories).map(([name, one]) => [
              name,
              { suite: one.suite, components: one.components, fingerprint: one.fingerprint },
            ]),
          ),
        }),
    recommends: packages.recommends,
    install: sorted(packages.install),
    ...(packages.debs === undefined || packages.debs.length === 0 ? {} : { debs: sorted(packages.debs) }),
    ...(packages.pins === undefined || packages.pins.length === 0 ? {} : { pins: packages.pins }),
  };
}

/** How what is asked for differs from what was, a phrase each; nothing where the lock fits. */
export function requestDifferences(was: LockRequest, is: LockRequest): string[] {
  const differences: string[] = [];
  for (const field of ["distribution", "suite", "architecture"] as const)
    if (was[field] !== is[field]) differences.push(`${field} is ${is[field]}, not ${was[field]}`);
  if (was.recommends !== is.recommends)
    differences.push(`recommended packages are ${is.recommends ? "" : "not "}asked for`);
  for (const [what, before, after] of [
    ["", was.install, is.install],
    ["the file ", was.debs ?? [], is.debs ?? []],
    ["the component ", was.components, is.components],
    ["the suite ", was.suites ?? [], is.suites ?? []],
  ] as const) {
    for (const one of after) if (!before.includes(one)) differences.push(`${what}${one} is asked for`);
    for (const one of before)
      if (!after.includes(one)) differences.push(`${what}${one} is not asked for any more`);
  }
  const names = new Set([...Object.keys(was.repositories ?? {}), ...Object.keys(is.repositories ?? {})]);
  for (const name of [...names].sort())
    if (canonicalJson(was.repositories?.[name] ?? null) !== canonicalJson(is.repositories?.[name] ?? null))
      differences.push(`the repository ${name} is another`);
  if (canonicalJson(was.pins ?? []) !== canonicalJson(is.pins ?? [])) differences.push("the pins are others");
  // The order of components and suites decides between equals.
  if (differences.length === 0 && canonicalJson(was) !== canonicalJson(is))
    differences.push("components or suites stand in another order");
  return differences;
}
