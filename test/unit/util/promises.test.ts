import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { keepTrying, runBoth } from "../../../src/util/promises.ts";

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

describe("trying again and again", () => {
  const quick = { pauseMs: 1, everyMs: 10, most: 3, signal: new AbortController().signal };
  const never = () => new Promise<string>(() => {});
  const trying = (
    attempts: readonly (() => Promise<string>)[],
    more: Partial<Parameters<typeof keepTrying>[1]> = {},
  ) => {
    const seen = { begun: 0, closed: [] as unknown[] };
    const attempt = () => attempts[Math.min(seen.begun++, attempts.length - 1)]!();
    const close = (late: unknown) => void seen.closed.push(late);
    const how = { ...quick, goesOn: () => true, isFinal: () => false, close, ...more };
    return { seen, done: keepTrying(attempt, how) };
  };

  it("begins another attempt while one takes long, and closes what succeeds later", async () => {
    let late = (_: string) => {};
    const slow = () =>
      new Promise<string>((resolve) => {
        late = resolve;
      });
    const { seen, done } = trying([slow, async () => "second"]);
    expect(await done).toBe("second");
    late("first");
    await new Promise(setImmediate);
    expect(seen).toEqual({ begun: 2, closed: ["first"] });
  });

  it("goes on after a failure, unless it is final", async () => {
    const fails = () => Promise.reject(new Error("refused"));
    expect(await trying([fails, fails, async () => "third"]).done).toBe("third");
    await expect(trying([fails], { isFinal: () => true }).done).rejects.toThrow("refused");
  });

  it("has no more than a number of them at once", async () => {
    const { seen, done } = trying([never]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(seen.begun).toBe(quick.most);
    void done;
  });

  it("waits for what has begun when its time is over, and gives nothing where all fail", async () => {
    const once = () => {
      let left = 1;
      return () => left-- > 0;
    };
    const later = (end: () => Promise<string>) => () =>
      new Promise((resolve) => setTimeout(resolve, 30)).then(end);
    expect(await trying([later(async () => "late")], { goesOn: once() }).done).toBe("late");
    const fails = later(() => Promise.reject(new Error("no")));
    expect(await trying([fails], { goesOn: once() }).done).toBeUndefined();
  });

  it("ends with an interruption, and closes what succeeds after it", async () => {
    const stop = new AbortController();
    let late = (_: string) => {};
    const slow = () =>
      new Promise<string>((resolve) => {
        late = resolve;
      });
    const { seen, done } = trying([slow, never], { signal: stop.signal });
    stop.abort(new Error("interrupted"));
    await expect(done).rejects.toThrow("interrupted");
    late("first");
    await new Promise(setImmediate);
    expect(seen.closed).toEqual(["first"]);
  });
});
