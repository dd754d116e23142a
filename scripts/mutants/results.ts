import { appendFileSync, existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** What came of a change. */
const Outcome = z.enum([
  /** The tests run with it now. */
  "begun",
  /** A test fails with it, and passes again without it. */
  "noticed",
  /** Every test that reaches it passes. */
  "missed",
  /** No test reaches it. */
  "unreached",
  /** It acts only while its module is loaded: each change would take a process of its own. */
  "static",
  /** A test failed with it, and fails without it now: to be tried again in a new process. */
  "unclear",
]);
const Line = z.strictObject({ id: z.string(), outcome: Outcome });
export type Outcome = z.output<typeof Outcome>;

const resultsFile = "results.jsonl";

export function noteResult(directory: string, id: string, outcome: Outcome): void {
  appendFileSync(join(directory, resultsFile), `${JSON.stringify({ id, outcome })}\n`);
}

/** Says that the process is alive, by the time of the file. */
export function noteLife(directory: string): void {
  const now = new Date();
  utimesSync(join(directory, resultsFile), now, now);
}

/** When it last said something, in milliseconds; undefined before it did. */
export function lastSign(directory: string): number | undefined {
  return statSync(join(directory, resultsFile), { throwIfNoEntry: false })?.mtimeMs;
}

/**
 * The last outcome by id of change. A change that was begun and came to no end ended its process or hung, and one that
 * was unclear twice was unclear in a fresh process too: both are noticed.
 */
export function readResults(directory: string): ReadonlyMap<string, Outcome> {
  const results = new Map<string, Outcome>();
  const unclear = new Set<string>();
  const file = join(directory, resultsFile);
  for (const line of existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []) {
    const { id, outcome } = Line.parse(JSON.parse(line));
    results.set(id, outcome === "unclear" && unclear.has(id) ? "noticed" : outcome);
    if (outcome === "unclear") unclear.add(id);
  }
  return results;
}
