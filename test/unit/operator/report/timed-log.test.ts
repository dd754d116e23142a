import { expect, it } from "vitest";
import { timedLog } from "../../../../src/operator/report/timed-log.ts";
import { plainLog } from "../../../../src/util/log.ts";

it("a log notes tasks with their times, in the order in which they began, and passes all on", async () => {
  let now = 5_000;
  const clock = () => now;
  let text = "";
  const given = plainLog({ write: (more) => (text += more) }, clock);
  const { log, steps } = timedLog(given, clock);
  now += 1_000;
  await log.task("unpacking", async (inner) => {
    now += 2_000;
    inner.info("by the way");
    await inner.task("one package", async () => {
      now += 500;
    });
  });
  await expect(
    log.task("configuring", async (inner) => {
      await inner.task("another", async () => {
        now += 100;
        throw new Error("no");
      });
    }),
  ).rejects.toThrow("no");
  expect(steps).toEqual([
    { doing: "unpacking", depth: 0, from: 1, seconds: 2.5, ok: true },
    { doing: "one package", depth: 1, from: 3, seconds: 0.5, ok: true },
    { doing: "configuring", depth: 0, from: 3.5, seconds: 0.1, ok: false },
    { doing: "another", depth: 1, from: 3.5, seconds: 0.1, ok: false },
  ]);
  expect(text).toContain("  by the way\n");
  expect(text).toContain("  one package: done in 0.5 s\n");
});
