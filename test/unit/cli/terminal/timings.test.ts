import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Timeline, timeLeft, timings } from "../../../../src/cli/terminal/timings.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const timeline: Timeline = { total: 100_000, tasks: { a: [0, 90_000], "a / b": [10_000, 30_000] } };

describe("the time left", () => {
  it("is what came after this moment the last time", () => {
    expect(timeLeft(timeline, [{ path: "a", began: 0 }], 5_000)).toBe(95_000);
    const running = [
      { path: "a", began: 0 },
      { path: "a / b", began: 10_000 },
    ];
    expect(timeLeft(timeline, running, 20_000)).toBe(80_000);
    // A task that takes longer than then: what follows it is still to come.
    expect(timeLeft(timeline, running, 500_000)).toBe(60_000);
    expect(timeLeft(timeline, [...running, { path: "a / new", began: 20_000 }], 20_000)).toBe(80_000);
    expect(timeLeft(timeline, [{ path: "other", began: 0 }], 0)).toBeUndefined();
  });
});

describe("the last run of a command", () => {
  it("is kept by command, for those that take long, the latest of them", async () => {
    const cache = join(tempDir(), "cache");
    expect(timings(cache, "test web").last).toBeUndefined();
    await timings(cache, "test web").save(timeline);
    await timings(cache, "plan web").save({ total: 3_000, tasks: {} });
    expect(timings(cache, "test web").last).toEqual(timeline);
    expect(timings(cache, "plan web").last).toBeUndefined();
    for (let index = 0; index < 40; index += 1) await timings(cache, `command ${index}`).save(timeline);
    expect(timings(cache, "test web").last).toBeUndefined();
    expect(timings(cache, "command 0").last).toEqual(timeline);
  });

  it("is unknown where the file is damaged or cannot be written", async () => {
    const cache = tempDir();
    writeFileSync(join(cache, "timings.json"), '{ "test web": { "total": "long" } }');
    expect(timings(cache, "test web").last).toBeUndefined();
    await timings(cache, "test web").save(timeline);
    expect(timings(cache, "test web").last).toEqual(timeline);
    const file = join(cache, "a file");
    writeFileSync(file, "");
    await timings(file, "test web").save(timeline);
  });
});
