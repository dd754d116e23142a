import { describe, expect, it } from "vitest";
import { showOutcome } from "../../../../src/cli/terminal/outcome.ts";
import type { Report } from "../../../../src/schema/report.ts";

function reportOf(change: Partial<Report>): Report {
  return {
    version: 1,
    outcome: "done",
    host: "web",
    hostname: "web.example.org",
    definition: "d",
    planDigest: "p",
    started: "2026-01-01T00:00:00.000Z",
    seconds: { total: 100, downtime: 60, phases: [], steps: [] },
    bytes: { base: 0, payload: 0 },
    peakMemoryMib: null,
    bootIds: { old: "b", base: null, new: null },
    os: { old: "Debian 12", new: "Debian 13" },
    disks: [],
    preflight: [],
    health: [],
    ...change,
  };
}

/** What is printed and emitted, until it is thrown. */
function shown(change: Partial<Report>) {
  const printed: string[] = [];
  const events: Record<string, unknown>[] = [];
  const cli = {
    print: (line: string) => void printed.push(line),
    emit: (event: Record<string, unknown>) => void events.push(event),
  };
  const work = () => showOutcome(reportOf(change), "out/report.json", cli);
  return { printed, events, work };
}

describe("what a deploy ends with", () => {
  it.each([
    [
      "refused",
      3,
      /^refused, nothing was changed: why\nreport: out\/report\.html, and for programs report\.json$/,
    ],
    ["old-system", 4, /^failed before any disk was written; the old system is in place: why\n/],
    ["failed", 1, /^failed: why\n/],
  ] as const)("is the exit code of its outcome: %s is %d", (outcome, exitCode, message) => {
    const { work, events, printed } = shown({ outcome, message: "why", hint: "what to do" });
    expect(work).toThrow(
      expect.objectContaining({ exitCode, message: expect.stringMatching(message), hint: "what to do" }),
    );
    expect(events).toEqual([expect.objectContaining({ event: "report", file: "out/report.json" })]);
    expect(printed).toEqual([]);
  });

  it("is a line of what the host is now, and what was accepted", () => {
    const { work, printed } = shown({ message: "a unit has failed" });
    work();
    expect(printed).toEqual([
      expect.stringMatching(/^web is now web\.example\.org \(Debian 13\); .*, .* of it down$/),
      "degraded, as accepted: a unit has failed",
      "report: out/report.html, and for programs report.json",
    ]);
  });
});
