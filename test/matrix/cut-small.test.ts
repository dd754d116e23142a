import { expect, it, onTestFinished } from "vitest";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { countCuts } from "../helpers/cut/count-cuts.ts";
import { judgeCuts } from "../helpers/cut/cuts.ts";
import { recordOver } from "../helpers/cut/recorded.ts";

const seed = Number(process.env.IMGBUILD_SEED ?? "1");

it(`cut-small: a power cut at any write leaves the old system, the base, the new one, or is counted (F13, seed ${seed})`, async () => {
  const { recording, close } = await recordOver("stock", "bios", {
    ...{ cache: cacheRoot(process.env), env: process.env, log: silentLog },
    signal: new AbortController().signal,
  });
  onTestFinished(close);
  const { baseKernel } = recording;
  const counted = countCuts(judgeCuts(recording, { firmware: "bios", seed, baseKernel }), recording);
  expect(counted.states).toBeGreaterThan(1_000);
  expect(counted.order).toEqual(["old", "dead", "base", "new"]);
  expect(counted.deadLater).toBe(0);
  // Until the base is on the disk, and no longer.
  expect(counted.deadSteps[0]).toMatch(/^partitioning /);
  expect(counted.deadSteps.at(-1)).toBe("embedding GRUB");
});
