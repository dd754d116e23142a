import type { BaseReport } from "../../../src/schema/base/journal.ts";
import { Fail } from "../../../src/util/fail.ts";

/** What a runner in a base without a machine says of its work: for `report` of a `RunnerWorld`. */
export function baseReport(outcome: "done" | "failed", ponr: boolean, error: unknown): BaseReport {
  return {
    outcome,
    ponr,
    bootId: "b",
    peakMemoryMib: 1,
    totalMemoryMib: 2,
    fetched: { packages: 0, bytes: 0 },
    seconds: [],
    ...(error instanceof Error ? { message: error.message } : {}),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
  };
}
