import { describe, expect, it } from "vitest";
import { countCuts, rowOf } from "../../helpers/cut/count-cuts.ts";
import type { Class, Cuts, Span } from "../../helpers/cut/cuts.ts";
import type { Verdict } from "../../helpers/cut/verdict.ts";

const one = (verdict: Verdict, why: string, count: number): Class => ({
  ...{ verdict, why, count, last: 0 },
  example: { kind: "prefix", entry: 0, sectors: new Int32Array() },
});
const span = (verdict: Verdict, why: string, first: number, last: number): Span => ({
  verdict,
  why,
  first,
  last,
});

/** Entry n ends at byte 100 (n + 1) of the log, and is there after 10 (n + 1) ms. */
const cuts = (spans: readonly Span[]): Cuts => ({
  ...{ states: 12, spans, deadLater: 0, ends: [100, 200, 300, 400, 500, 600] },
  classes: [
    one("old", "as before", 2),
    one("dead", "a", 3),
    one("dead", "b", 4),
    one("base", "c", 1),
    one("new", "d", 2),
  ],
  whole: { old: start, new: start, base: undefined },
});
const start = { linux: "", initrds: [], cmdline: "" };
const recording = {
  times: [10, 20, 30, 40, 50, 60].map((ms) => ({ ms, bytes: ms * 10 })),
  steps: [
    { ms: 5, doing: "partitioning" },
    { ms: 25, doing: "writing the base" },
    { ms: 45, doing: "unpacking" },
  ],
};

describe("the count of power cuts", () => {
  const spans = [
    span("old", "", -1, -1),
    span("dead", "a", 0, 1),
    span("dead", "b", 2, 2),
    span("base", "", 3, 4),
    span("new", "", 5, 5),
  ];
  const counted = countCuts(cuts(spans), recording);

  it("adds up what was judged alike, whatever the reason", () => {
    expect(counted.of).toEqual({ old: 2, base: 1, new: 2, dead: 7 });
    expect(counted.order).toEqual(["old", "dead", "base", "new"]);
  });

  it("says for how long the machine is dead, and in which steps", () => {
    expect(counted.deadMs).toBe(30);
    expect(counted.deadSteps).toEqual(["partitioning", "writing the base"]);
    expect(rowOf("cut-x", counted)).toBe(
      '| `cut-x` | 12 | 2 | 1 | 2 | 7 | 30 ms, from "partitioning" to "writing the base" |',
    );
  });

  it("knows of no dead step where nothing is dead", () => {
    const alive = countCuts(cuts([span("old", "", -1, 2), span("new", "", 3, 5)]), recording);
    expect([alive.deadMs, alive.deadSteps]).toEqual([0, []]);
    expect(rowOf("cut-x", alive)).toContain("| 0 ms |");
  });
});
