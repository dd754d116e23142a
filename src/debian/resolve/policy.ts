import type { Candidate, Origin } from "../package/candidate.ts";

/** A preference for versions, as in apt_preferences(5). */
export interface Pin {
  /** Names of packages, `*` and `?` stand for any; ["*"] speaks of all that no other pin names. */
  readonly packages: readonly string[];
  /** Which of their versions: those of a suite, of a vendor or repository, or of a version, where a `*` may end it. */
  readonly suite?: string | undefined;
  readonly origin?: string | undefined;
  readonly version?: string | undefined;
  readonly priority: number;
}

export interface Policy {
  readonly pins: readonly Pin[];
  /** Suites that get priority 990: the release that the machine runs, where others are listed as well. */
  readonly target: readonly string[];
}

/** apt's default priorities: those of a release asked for, of any, of backports, of what must be asked for by name. */
const usual = { target: 990, any: 500, backports: 100, notAutomatic: 1 } as const;

/** The version that is installed when only the name is asked for; `versions` are sorted, the newest first. */
export function candidateOf(versions: readonly Candidate[], policy: Policy): Candidate | undefined {
  let best: Candidate | undefined;
  let highest = 0;
  for (const version of versions) {
    const priority = priorityOf(version, policy);
    if (priority <= highest) continue;
    best = version;
    highest = priority;
  }
  return best;
}

/** The first pin that names the package and fits the version counts; else the first for all packages; else the origin's own. */
export function priorityOf(candidate: Candidate, { pins, target }: Policy): number {
  const specific = pins.find((pin) => names(pin, candidate.name) && fits(pin, candidate));
  if (specific !== undefined) return specific.priority;
  const general = pins.find((pin) => isGeneral(pin) && fits(pin, candidate));
  if (general !== undefined) return general.priority;
  const { suite, notAutomatic, butAutomaticUpgrades } = candidate.origin;
  if (target.includes(suite)) return usual.target;
  if (notAutomatic) return butAutomaticUpgrades ? usual.backports : usual.notAutomatic;
  return usual.any;
}

/** Whether a name that a person gives a suite means that one: its directory, its codename or its release. */
export function isSuite(origin: Origin, name: string): boolean {
  return [origin.suite, origin.codename, origin.release].includes(name);
}

function isGeneral(pin: Pin): boolean {
  return pin.packages.includes("*") && pin.version === undefined;
}

function names(pin: Pin, name: string): boolean {
  if (isGeneral(pin)) return false;
  return pin.packages.some((pattern) => globOf(pattern).test(name));
}

function fits({ suite, origin, version }: Pin, candidate: Candidate): boolean {
  const from = candidate.origin;
  return (
    (suite === undefined || isSuite(from, suite)) &&
    (origin === undefined || from.vendor === origin || from.archive === origin) &&
    (version === undefined || globOf(version).test(candidate.version))
  );
}

function globOf(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\-]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}
