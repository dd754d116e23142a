import type { BaseReport } from "../../schema/base/journal.ts";
import type { Report } from "../../schema/report.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Planned } from "../plan/planned.ts";
import type { Trail } from "./phases.ts";
import type { DeployInputs } from "./world.ts";

/** What came of a deploy, and all that is known of its way there. */
export function reportOf(
  inputs: DeployInputs,
  trail: Trail,
  end: {
    readonly outcome: Report["outcome"];
    readonly error: unknown;
    /** Milliseconds. */
    readonly began: number;
    readonly now: number;
  },
): Report {
  const { outcome, error, began, now } = end;
  const facts = trail.last("looked")?.facts;
  const inspected = trail.last("inspected")?.inspected;
  const go = inspected?.verdict === "go" ? inspected : undefined;
  const report = trail.last("base report")?.report;
  const verified = trail.last("verified")?.verified;
  return {
    version: 1,
    outcome,
    ...(error === undefined ? {} : { message: messageOf(error) }),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
    host: inputs.host,
    hostname: inputs.spec.hostname,
    definition: inputs.definition,
    planDigest: go?.planDigest ?? "",
    started: new Date(began).toISOString(),
    seconds: {
      total: (now - began) / 1000,
      downtime: downtimeOf(trail),
      phases: trail.all("phase").map(({ phase, seconds }) => ({ phase, seconds })),
      steps: [...(report?.seconds ?? [])],
    },
    bytes: sentBytes(trail),
    ...(report === undefined ? {} : { fetched: fetchedBy(trail, report, go?.mirror ?? "") }),
    packages: {
      count: inputs.lock.packages.length,
      security: inputs.lock.packages.filter(({ archive }) => archive === "debian-security").length,
    },
    peakMemoryMib: report?.peakMemoryMib ?? null,
    bootIds: {
      old: facts?.bootId ?? "",
      base: trail.last("base")?.bootId ?? null,
      new: verified?.bootId ?? null,
    },
    os: { old: facts?.os.name ?? "", new: verified?.os ?? null },
    disks: go === undefined ? [] : disksOf(go),
    preflight: [...(inspected?.findings ?? [])],
    health: [...(verified?.health ?? [])],
  };
}

/** The report of a deploy that somebody went on with: what was known at the takeover, and what they have seen since. */
export function continuedReport(
  before: Report,
  trail: Trail,
  {
    outcome,
    error,
    now,
  }: { readonly outcome: Report["outcome"]; readonly error: unknown; readonly now: number },
): Report {
  const report = trail.last("base report")?.report;
  const verified = trail.last("verified")?.verified;
  const answered = trail.last("answered")?.now;
  // The base was seen, so its end was: else the new system may have been up for long.
  const jumped = trail.has("base") ? Date.parse(before.started) + before.seconds.total * 1000 : undefined;
  return {
    ...before,
    outcome,
    ...(error === undefined ? {} : { message: messageOf(error) }),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
    seconds: {
      ...before.seconds,
      total: (now - Date.parse(before.started)) / 1000,
      downtime: answered === undefined || jumped === undefined ? null : (answered - jumped) / 1000,
      steps: [...(report?.seconds ?? [])],
    },
    ...(report === undefined ? {} : { fetched: { ...report.fetched, mirror: before.fetched?.mirror ?? "" } }),
    peakMemoryMib: report?.peakMemoryMib ?? null,
    bootIds: {
      ...before.bootIds,
      base: trail.last("base")?.bootId ?? report?.bootId ?? null,
      new: verified?.bootId ?? null,
    },
    os: { ...before.os, new: verified?.os ?? null },
    health: [...(verified?.health ?? [])],
  };
}

/** Each with what it held before, and what it holds after. */
export function disksOf({ disks, fates }: Pick<Planned, "disks" | "fates">): Report["disks"] {
  return disks.map((disk) => {
    const fate = fates.find(({ name }) => name === disk.name);
    return fate === undefined ? disk : { ...disk, before: [...fate.before], after: [...fate.after] };
  });
}

/** Seconds from the last answer of the old system to the first of the new one. */
export function downtimeOf(trail: Trail): number | null {
  const [from, to] = [trail.last("jumped"), trail.last("answered")];
  return from === undefined || to === undefined ? null : (to.now - from.now) / 1000;
}

/** By the old system, for a tree that it made, and by the base. */
function fetchedBy(trail: Trail, { fetched }: BaseReport, mirror: string): Report["fetched"] {
  const before = trail.last("fetched") ?? { packages: 0, bytes: 0 };
  const { packages, bytes } = fetched;
  return { packages: before.packages + packages, bytes: before.bytes + bytes, mirror };
}

function sentBytes(trail: Trail): Report["bytes"] {
  const sent = trail.all("sent");
  const trees = sent.reduce((sum, { tree = 0 }) => sum + tree, 0);
  return {
    base: sent.reduce((sum, { base }) => sum + base, 0),
    payload: sent.reduce((sum, { payload }) => sum + payload, 0),
    ...(trees === 0 ? {} : { tree: trees }),
  };
}
