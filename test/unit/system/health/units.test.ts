import { describe, expect, it } from "vitest";
import { judgeUnits } from "../../../../src/system/health/units.ts";
import { type FakeUnit, fakeSystem } from "../../../helpers/fakes/fake-system.ts";

const signal = new AbortController().signal;

async function judge(unit: FakeUnit | readonly FakeUnit[], boundMs = 0): Promise<string | undefined> {
  const { shell } = fakeSystem({ units: { "x.service": unit } });
  return (await judgeUnits(["x.service"], shell, { boundMs, signal })).get("x.service")?.problem;
}

const ran = {
  ActiveState: "inactive",
  SubState: "dead",
  Type: "oneshot",
  ExecMainExitTimestampMonotonic: "2000",
};
const never = { ActiveState: "inactive", ConditionTimestampMonotonic: "0" };

describe("judgeUnits", () => {
  it.each<[string, FakeUnit]>([
    ["is active", {}],
    ["reloads", { ActiveState: "reloading" }],
    ["is a oneshot that exited 0", ran],
    ["was skipped, as its condition is not met", { ActiveState: "inactive", ConditionResult: "no" }],
    ["is for later, as nothing that runs wants it", { ...never, WantedBy: "sleep.target" }],
  ])("is content with a unit that %s", async (_what, unit) => {
    expect(await judge(unit)).toBeUndefined();
  });

  it.each<[string, FakeUnit, string]>([
    [
      "has failed",
      { ActiveState: "failed", Result: "signal", ExecMainStatus: "9" },
      "it has failed (signal, status 9)",
    ],
    ["is not there", { LoadState: "not-found", ActiveState: "inactive" }, "it is not there (not-found)"],
    ["ended by itself", { ...ran, Type: "simple" }, "it has ended (success, status 0)"],
    ["was never started, though what runs wants it", never, "it was not started"],
    [
      "still starts at the end of its time",
      { ActiveState: "activating", SubState: "start" },
      "it is activating (start)",
    ],
  ])("is not content with one that %s", async (_what, unit, problem) => {
    expect(await judge(unit)).toBe(problem);
  });

  it("waits for one that is starting, and not for one that has failed", async () => {
    expect(await judge([{ ActiveState: "activating" }, {}], 60_000)).toBeUndefined();
    expect(await judge([{ ActiveState: "failed" }, {}], 60_000)).toMatch(/^it has failed/);
  });

  it("knows units asked for together apart", async () => {
    const { shell } = fakeSystem({
      units: { "b.socket": { LoadState: "not-found", ActiveState: "inactive" } },
    });
    const judged = await judgeUnits(["a.service", "b.socket", "c.timer"], shell, { boundMs: 0, signal });
    expect([...judged].map(([name, { problem }]) => [name, problem])).toEqual([
      ["a.service", undefined],
      ["b.socket", "it is not there (not-found)"],
      ["c.timer", undefined],
    ]);
  });
});
