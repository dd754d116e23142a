import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runBoth } from "../../../src/util/promises.ts";

const never = new AbortController().signal;

describe("runBoth", () => {
  it("gives both results", async () => {
    expect(await runBoth(never, [async () => 1, async () => "two"])).toEqual([1, "two"]);
  });

  it("ends the other when one fails, waits for it, and tells the first failure", async () => {
    let ended = false;
    const slow = async (signal: AbortSignal) => {
      await sleep(20_000, undefined, { signal }).catch(() => {});
      await sleep(20);
      ended = true;
      throw new Error("because of the other");
    };
    const fails = async () => {
      throw new Error("the reason");
    };
    await expect(runBoth(never, [slow, fails])).rejects.toThrow("the reason");
    expect(ended).toBe(true);
  });

  it("ends both when it is interrupted", async () => {
    const stop = new AbortController();
    const wait = (signal: AbortSignal) => sleep(20_000, undefined, { signal });
    setTimeout(() => stop.abort(new Error("stopped")), 10);
    await expect(runBoth(stop.signal, [wait, wait])).rejects.toThrow(/aborted|stopped/);
  });
});
