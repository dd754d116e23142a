import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FromOperator, FromRunner } from "../../../src/schema/base/journal.ts";
import { Journal } from "../../../src/target/journal.ts";
import { Runner, type RunnerWorld, secretsKeptMs } from "../../../src/target/runner.ts";
import { Fail } from "../../../src/util/fail.ts";
import { silentLog } from "../../../src/util/log.ts";
import { baseReport } from "../../helpers/fakes/base-report.ts";
import { noDeadMan } from "../../helpers/fakes/dead-man.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A world without a machine: work ends when the test says, time passes by hand, a restart is only counted. */
function world(change: Partial<RunnerWorld> = {}) {
  const dir = tempDir();
  const journal = new Journal(join(dir, "journal"), () => 1);
  const state = {
    restarts: 0,
    now: 0,
    forgotten: 0,
    flushed: [] as boolean[],
    timers: [] as { ms: number; what: () => void }[],
    replaced: [] as { publicKey: string; payload: string }[],
    works: [] as {
      sealed: readonly string[];
      ponr: () => Promise<void>;
      done: () => void;
      fail: (error: unknown) => void;
    }[],
  };
  const fake: RunnerWorld = {
    journal,
    log: silentLog,
    nonce: "n",
    bootId: "b",
    recipient: "age1x",
    now: () => state.now,
    forget: () => {
      state.forgotten += 1;
    },
    goFile: join(dir, "go"),
    payload: { planDigest: "plan" },
    replace: async (publicKey, payload) => {
      const text = Buffer.from(payload).toString();
      if (text === "damaged") throw new Fail("the archive is damaged");
      state.replaced.push({ publicKey, payload: text });
      return "plan-2";
    },
    work: (sealed, ponr) =>
      new Promise<void>((done, fail) => {
        state.works.push({ sealed, ponr, done, fail });
      }),
    ...noDeadMan,
    report: baseReport,
    restart: (flush) => {
      state.restarts += 1;
      state.flushed.push(flush);
      return new Promise<never>(() => {});
    },
    later: (ms, what) => void state.timers.push({ ms, what }),
    ...change,
  };
  const runner = new Runner(fake);
  const states = () => journal.entries.flatMap(({ event }) => (event.type === "state" ? [event.state] : []));
  return { runner, state, fake, journal, states };
}

/** An attached operator, with all it was sent. */
function operator(runner: Runner) {
  const heard: FromRunner[] = [];
  const send = (message: FromRunner) => void heard.push(message);
  const leave = runner.onAttach(send);
  return { heard, leave, say: (message: FromOperator) => runner.onMessage(message, send) };
}

/** What is to happen later, but for the wiping of secrets, which is looked at by itself. */
const restarting = ({ timers }: { timers: readonly { ms: number }[] }) =>
  timers.filter(({ ms }) => ms !== secretsKeptMs);

const go = { type: "go", planDigest: "plan", sealed: "s" } as const;
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("Runner", () => {
  it("says hello with who it is", () => {
    const { heard } = operator(world().runner);
    expect(heard).toEqual([
      {
        type: "hello",
        protocol: 2,
        nonce: "n",
        bootId: "b",
        state: "waiting",
        seq: 1,
        recipient: "age1x",
        planDigest: "plan",
      },
    ]);
  });

  it("F13: comes up after a power cut as a build that failed after the first write, and takes another plan", async () => {
    const lost = new Fail("the machine lost power", { hint: "send them again" });
    const { runner, state, journal } = world({ rescued: true, payload: { refusal: lost } });
    const { heard, say } = operator(runner);
    expect(heard[0]).toMatchObject({
      ...{ state: "failed", message: "the machine lost power", secretsSeconds: 0 },
    });
    expect(restarting(state)).toEqual([]);
    say({ type: "abort" });
    say({ type: "resume" });
    expect(heard.slice(1)).toMatchObject([{ type: "refused" }, { type: "refused" }]);
    say({ type: "replace", publicKey: "key", payload: Buffer.from("another").toString("base64") });
    await settle();
    expect(heard.at(-1)).toEqual({ type: "replaced", planDigest: "plan-2" });
    say({ ...go, planDigest: "plan-2" });
    expect(state.works).toHaveLength(1);
    await state.works[0]!.ponr();
    expect(journal.entries.at(-1)?.event.type).toBe("ponr");
  });

  it("works once after GO, reports, and restarts by itself", async () => {
    const { runner, state, fake, states } = world();
    const { heard, say } = operator(runner);
    say({ type: "follow", after: 0 });
    expect(existsSync(fake.goFile)).toBe(false);
    say(go);
    expect(existsSync(fake.goFile)).toBe(true);
    say(go);
    expect(heard.at(-1)).toMatchObject({ type: "refused", message: expect.stringContaining("too late") });
    expect(state.works).toHaveLength(1);
    expect(state.works[0]!.sealed).toEqual(["s"]);
    state.works[0]!.ponr();
    state.works[0]!.done();
    await settle();
    expect(states()).toEqual(["waiting", "working", "done"]);
    expect(heard.at(-1)).toMatchObject({ type: "report", report: { outcome: "done", ponr: true } });
    expect(state.restarts).toBe(0);
    state.timers[0]!.what();
    expect([state.restarts, state.flushed]).toEqual([1, [true]]);
  });

  it("refuses GO for another plan, and stays ready", () => {
    const { runner, state, fake } = world();
    const { heard, say } = operator(runner);
    say({ ...go, planDigest: "other" });
    expect(heard.at(-1)).toMatchObject({ type: "refused", message: expect.stringContaining("another plan") });
    expect(existsSync(fake.goFile)).toBe(false);
    say(go);
    expect(state.works).toHaveLength(1);
  });

  it("returns to the old system when it fails before any write", async () => {
    const { runner, state, states, journal } = world();
    operator(runner).say(go);
    state.works[0]!.fail(new Fail("no disk", { hint: "look" }));
    await settle();
    expect(states()).toEqual(["waiting", "working", "failed"]);
    const entry = journal.entries.find(({ event }) => event.type === "state" && event.state === "failed");
    expect(entry?.event).toMatchObject({ message: "no disk", hint: "look" });
    expect(state.timers).toHaveLength(1);
    state.timers[0]!.what();
    expect(state.restarts).toBe(1);
  });

  it("stays up when it fails after the first write: no restart by itself, by abort or by restart", async () => {
    const { runner, state } = world();
    const { heard, say } = operator(runner);
    say(go);
    state.works[0]!.ponr();
    state.works[0]!.fail(new Error("disk full"));
    await settle();
    say({ type: "abort" });
    expect(heard.at(-1)).toMatchObject({
      type: "refused",
      message: expect.stringContaining("no old system"),
    });
    say({ type: "restart" });
    expect(heard.at(-1)).toMatchObject({ type: "refused", message: expect.stringContaining("half-built") });
    expect(restarting(state)).toEqual([]);
    expect(state.restarts).toBe(0);
  });

  it("works through the same plan again when it is resumed after a failure after the first write (F17)", async () => {
    const { runner, state, states } = world();
    const { heard, say } = operator(runner);
    say({ type: "resume" });
    expect(heard.at(-1)).toMatchObject({
      type: "refused",
      message: expect.stringContaining("nothing to resume"),
    });
    say(go);
    state.works[0]!.ponr();
    state.works[0]!.fail(new Fail("the mirror is gone"));
    await settle();
    say({ type: "resume" });
    expect(state.works.map(({ sealed }) => sealed)).toEqual([["s"], ["s"]]);
    say({ type: "resume" });
    expect(heard.at(-1)?.type).toBe("refused");
    state.works[1]!.done();
    await settle();
    expect(states()).toEqual(["waiting", "working", "failed", "working", "done"]);
    expect(restarting(state)).toHaveLength(1);
  });

  const replace = (text: string) =>
    ({ type: "replace", publicKey: "k", payload: Buffer.from(text).toString("base64") }) as const;

  it("takes another plan after a failure after the first write, and works through it at the next GO", async () => {
    const { runner, state, fake, states } = world();
    const { heard, say } = operator(runner);
    say(go);
    state.works[0]!.ponr();
    state.works[0]!.fail(new Fail("no such unit"));
    await settle();
    say(replace("damaged"));
    await settle();
    expect(heard.at(-1)).toEqual({ type: "refused", message: "the archive is damaged" });
    expect(states().at(-1)).toBe("failed");
    say(replace("better"));
    // Nothing else is begun while it is looked at.
    say({ type: "resume" });
    expect(heard.at(-1)?.type).toBe("refused");
    await settle();
    expect(heard.at(-1)).toEqual({ type: "replaced", planDigest: "plan-2" });
    expect(state.replaced).toEqual([{ publicKey: "k", payload: "better" }]);
    for (const message of [go, { type: "abort" }, { type: "restart" }] as const) {
      say(message);
      expect(heard.at(-1)?.type, message.type).toBe("refused");
    }
    say({ ...go, planDigest: "plan-2", sealed: "t" });
    expect(state.works[1]!.sealed).toEqual(["s", "t"]);
    expect(readFileSync(fake.goFile, "utf8")).toBe("s\nt");
    state.works[1]!.fail(new Fail("still not"));
    await settle();
    expect(states()).toEqual(["waiting", "working", "failed", "waiting", "working", "failed"]);
    expect(restarting(state).length + state.restarts).toBe(0);
    // Started anew, it has what came with both.
    const again = world({ goFile: fake.goFile, journal: fake.journal });
    operator(again.runner).say({ type: "resume" });
    expect(again.state.works[0]!.sealed).toEqual(["s", "t"]);
  });

  it("takes no other plan before the first write, nor while it works, nor when it is done", async () => {
    const { runner, state } = world();
    const { heard, say } = operator(runner);
    const refused = async () => {
      say(replace("better"));
      await settle();
      expect(heard.at(-1)).toMatchObject({
        type: "refused",
        message: expect.stringContaining("another plan"),
      });
    };
    await refused();
    say(go);
    await refused();
    state.works[0]!.ponr();
    await refused();
    state.works[0]!.done();
    await settle();
    await refused();
    expect(state.replaced).toEqual([]);
  });

  it("takes no GO after an abort", () => {
    const { runner, state } = world();
    const { heard, say } = operator(runner);
    say({ type: "abort" });
    say(go);
    expect(heard.at(-1)).toMatchObject({ type: "refused", message: expect.stringContaining("too late") });
    expect(state.works).toEqual([]);
  });

  it("takes back what works until the first write, however its work hangs, and lets nothing be written then", async () => {
    const stopped: string[] = [];
    const { runner, state, journal } = world({ stop: (why) => void stopped.push(why.message) });
    const { heard, say } = operator(runner);
    say(go);
    say({ type: "restart" });
    expect(heard.at(-1)?.type).toBe("refused");
    say({ type: "abort" });
    say({ type: "abort" });
    expect(heard.slice(-2)).toEqual([{ type: "returning" }, { type: "returning" }]);
    expect(stopped).toEqual(["aborted by the operator"]);
    await expect(state.works[0]!.ponr()).rejects.toThrow("aborted by the operator");
    expect(journal.entries.some(({ event }) => event.type === "ponr")).toBe(false);
    expect(state.timers).toHaveLength(1);
    state.timers[0]!.what();
    expect([state.restarts, state.flushed]).toEqual([1, [false]]);
  });

  it("is armed from GO to the first write, and refuses an abort while the dead man stands down", async () => {
    const said: string[] = [];
    let standsDown = () => {};
    const deadMan = {
      rearm: () => void said.push("rearm"),
      standDown: () => {
        said.push("stand down");
        return new Promise<void>((resolve) => {
          standsDown = resolve;
        });
      },
    };
    const { runner, state, journal } = world({ deadMan });
    const { heard, say } = operator(runner);
    expect(said).toEqual([]);
    say(go);
    expect(said).toEqual(["rearm"]);
    const wrote = state.works[0]!.ponr();
    say({ type: "abort" });
    expect(heard.at(-1)).toMatchObject({
      type: "refused",
      message: expect.stringContaining("being written"),
    });
    expect(journal.entries.some(({ event }) => event.type === "ponr")).toBe(false);
    standsDown();
    await wrote;
    expect(journal.entries.at(-1)?.event.type).toBe("ponr");
    state.works[0]!.fail(new Fail("no such unit"));
    await settle();
    say({ type: "resume" });
    await state.works[1]!.ponr();
    expect(said).toEqual(["rearm", "stand down"]);
  });

  it.each([
    [
      "is gone at GO",
      {
        rearm: () => {
          throw new Fail("gone");
        },
        standDown: async () => {},
      },
    ],
    ["does not stand down", { rearm: () => {}, standDown: () => Promise.reject(new Fail("gone")) }],
  ])("writes nothing where its dead man %s", async (_what, { rearm, standDown }) => {
    const written: string[] = [];
    const { runner, state, states } = world({
      deadMan: { rearm, standDown },
      work: async (_sealed, ponr) => {
        await ponr();
        written.push("disk");
      },
    });
    operator(runner).say(go);
    await settle();
    expect(states().at(-1)).toBe("failed");
    expect(written).toEqual([]);
    state.timers[0]!.what();
    expect(state.flushed).toEqual([false]);
  });

  it("returns on abort before GO, and restarts at once when it is done", async () => {
    const early = world();
    operator(early.runner).say({ type: "abort" });
    early.state.timers[0]!.what();
    expect(early.state.restarts).toBe(1);
    const late = world();
    const { say } = operator(late.runner);
    say(go);
    late.state.works[0]!.ponr();
    late.state.works[0]!.done();
    await settle();
    say({ type: "restart" });
    expect(late.state.restarts).toBe(1);
  });

  it("refuses a payload that is not right, says why, and returns", () => {
    const { runner, state } = world({
      payload: { refusal: new Fail("wrong key", { hint: "deploy again" }) },
    });
    const { heard, say } = operator(runner);
    expect(heard[0]).toMatchObject({
      type: "hello",
      state: "failed",
      message: "wrong key",
      hint: "deploy again",
    });
    expect(heard[0]).not.toHaveProperty("planDigest");
    say(go);
    expect(heard.at(-1)?.type).toBe("refused");
    expect(state.works).toEqual([]);
    expect(state.timers).toHaveLength(1);
  });

  it("that is started anew before the first write touches nothing and returns to the old system", async () => {
    const first = world();
    operator(first.runner).say(go);
    const { runner, state } = world({ goFile: first.fake.goFile, journal: first.journal });
    const { heard, say } = operator(runner);
    expect(heard[0]).toMatchObject({ state: "failed", message: "the runner died while it worked" });
    for (const message of [go, { type: "resume" } as const]) {
      say(message);
      expect(heard.at(-1)?.type).toBe("refused");
    }
    expect(state.works).toEqual([]);
    state.timers[0]!.what();
    expect(state.restarts).toBe(1);
  });

  it("that is started anew after the first write stays up, and resumes with what came with GO", async () => {
    const first = world();
    operator(first.runner).say(go);
    await first.state.works[0]!.ponr();
    const { runner, state } = world({ goFile: first.fake.goFile, journal: first.journal });
    const { heard, say } = operator(runner);
    expect(heard[0]).toMatchObject({ state: "failed", message: "the runner died while it worked" });
    say(go);
    expect(heard.at(-1)?.type).toBe("refused");
    expect(state.works.length + restarting(state).length + state.restarts).toBe(0);
    say({ type: "resume" });
    expect(state.works.map(({ sealed }) => sealed)).toEqual([["s"]]);
    state.works[0]!.done();
    await settle();
    say({ type: "restart" });
    expect(state.restarts).toBe(1);
  });

  it("keeps the sealed secrets for root alone", () => {
    const { runner, fake } = world();
    operator(runner).say(go);
    expect(statSync(fake.goFile).mode & 0o777).toBe(0o600);
  });

  /** Whose build has failed after the first write. */
  async function failed() {
    const made = world();
    operator(made.runner).say(go);
    made.state.works[0]!.ponr();
    made.state.works[0]!.fail(new Fail("the mirror is gone", { hint: "look" }));
    await settle();
    return made;
  }

  it("wipes what came with GO two hours after a failure, and ends, for another one to be started", async () => {
    const { runner, state, fake, journal } = await failed();
    const { heard, say } = operator(runner);
    expect(heard[0]).toMatchObject({ type: "hello", secretsSeconds: 7200 });
    state.now = 60_000;
    say({ type: "follow", after: 0 });
    expect(heard.at(-1)).toMatchObject({ type: "report", report: { secretsSeconds: 7140 } });
    expect(state.timers).toMatchObject([{ ms: secretsKeptMs }]);
    expect(readFileSync(fake.goFile, "utf8")).toBe("s");
    state.timers[0]!.what();
    expect(state.forgotten).toBe(1);
    // It is there still, and empty: that GO was given must be known.
    expect(readFileSync(fake.goFile, "utf8")).toBe("");
    const next = world({ goFile: fake.goFile, journal });
    const later = operator(next.runner);
    expect(later.heard[0]).toMatchObject({
      state: "failed",
      message: "the mirror is gone",
      hint: "look",
      secretsSeconds: 0,
    });
    later.say({ type: "resume" });
    expect(later.heard.at(-1)).toMatchObject({
      type: "refused",
      message: "the secrets that came with GO were wiped",
      hint: expect.stringContaining("imgbuild resume HOST --with DEF"),
    });
    expect(next.state.timers).toEqual([]);
    later.say(replace("again"));
    await settle();
    later.say({ ...go, planDigest: "plan-2", sealed: "t" });
    expect(next.state.works[0]!.sealed).toEqual(["t"]);
  });

  it("wipes nothing that a build which was resumed in the meantime works with", async () => {
    const { runner, state, fake } = await failed();
    const { say } = operator(runner);
    say({ type: "resume" });
    state.timers[0]!.what();
    expect([state.forgotten, readFileSync(fake.goFile, "utf8")]).toEqual([0, "s"]);
    state.now = 1_000;
    state.works[1]!.fail(new Fail("still gone"));
    await settle();
    state.timers[0]!.what();
    expect(state.forgotten).toBe(0);
    state.timers[1]!.what();
    expect([state.forgotten, readFileSync(fake.goFile, "utf8")]).toEqual([1, ""]);
  });

  it.each([["done"], ["failed before the first write"]])("wipes it at once when it has %s", async (how) => {
    const { runner, state, fake } = world();
    operator(runner).say(go);
    if (how === "done") state.works[0]!.done();
    else state.works[0]!.fail(new Fail("no disk"));
    await settle();
    expect(readFileSync(fake.goFile, "utf8")).toBe("");
    expect(operator(runner).heard[0]).not.toHaveProperty("secretsSeconds");
  });

  it("tells whoever comes late all that happened, once, and nothing more after they left", async () => {
    const { runner, state, journal } = world();
    operator(runner).say(go);
    const second = operator(runner);
    second.say({ type: "follow", after: 1 });
    expect(second.heard.slice(1)).toMatchObject([{ type: "journal", entry: { seq: 2 } }]);
    second.leave();
    state.works[0]!.ponr();
    state.works[0]!.done();
    await settle();
    expect(second.heard).toHaveLength(2);
    const third = operator(runner);
    third.say({ type: "follow", after: 0 });
    expect(third.heard.filter(({ type }) => type === "journal")).toHaveLength(journal.entries.length);
    expect(third.heard.filter(({ type }) => type === "report")).toHaveLength(1);
  });
});
