import { describe, expect, it } from "vitest";
import { z } from "zod";
import { thisMachine } from "../../../../src/disks/find-disk.ts";
import { executeSteps } from "../../../../src/steps/step/execute.ts";
import { defineStep, type Step, type StepContext, stepData } from "../../../../src/steps/step/step.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";

/** Steps that write down what they did. */
function workshop() {
  const done: string[] = [];
  const told: string[] = [];
  const log: Log = {
    ...silentLog,
    task: (doing, work) => {
      told.push(doing);
      return work(log);
    },
  };
  const note = defineStep({
    kind: "note",
    schema: z.strictObject({ word: z.string(), mask: z.boolean().default(false) }),
    run: async ({ word, mask }) => {
      if (word === "fail") throw new Fail("no paper", { hint: "buy some" });
      if (word === "bug") throw new TypeError("oops");
      done.push(mask ? `${word} ${process.umask().toString(8)}` : word);
    },
  });
  const commands = defineStep({
    kind: "commands",
    schema: z.strictObject({ device: z.string() }),
    run: async ({ device }, context) => {
      await context.tool(["a", device]);
      await context.tool(["b", "--", device]);
    },
  });
  const known = new Map<string, Step>(
    [note, commands].map((step) => [step.kind, step as unknown as Step] as const),
  );
  const stop = new AbortController();
  const context: StepContext = {
    root: "/nowhere",
    began: 1,
    log,
    signal: stop.signal,
    machine: thisMachine,
    tool: async (argv) => {
      done.push(argv.join(" "));
      return { code: 0, stdout: "", stderr: "" };
    },
    filter: () => Promise.reject(new Error("not used")),
    chroot: () => Promise.reject(new Error("not used")),
    fetch: async () => {},
    packagePath: () => ({ outside: "", inside: "" }),
    release: async () => {},
    files: undefined,
    secrets: new Map(),
    nonce: undefined,
  };
  return { done, told, known, context, stop, note, commands };
}

describe("executeSteps", () => {
  it("runs steps in order, each as a task", async () => {
    const { done, told, known, context, note, commands } = workshop();
    await executeSteps(
      [
        stepData(note, "noting one", { word: "one" }),
        stepData(commands, "formatting", { device: "/dev/x" }),
        stepData(note, "noting two", { word: "two" }),
      ],
      known,
      context,
    );
    expect(done).toEqual(["one", "a /dev/x", "b -- /dev/x", "two"]);
    expect(told).toEqual(["noting one", "formatting", "noting two"]);
  });

  it.each([
    [{ kind: "unheard", doing: "guessing" }, "the plan has a step of the unknown kind unheard"],
    [{ kind: "note", doing: "noting" }, 'step "noting" (note): word: '],
    [
      { kind: "note", doing: "noting", word: "x", more: 1 },
      'step "noting" (note): : Unrecognized key: "more"',
    ],
    [{ kind: "note", doing: "noting", word: "x", mask: "yes" }, 'step "noting" (note): mask: '],
  ])("runs nothing of a plan with %j", async (bad, message) => {
    const { done, known, context } = workshop();
    let before = false;
    const steps = [{ kind: "note", doing: "noting", word: "first" }, bad];
    const onBefore = () => {
      before = true;
    };
    await expect(executeSteps(steps, known, context, onBefore)).rejects.toThrow(message);
    expect([done, before]).toEqual([[], false]);
  });

  it("calls `before` when the plan is understood and nothing has run yet", async () => {
    const { done, known, context, note } = workshop();
    await executeSteps([stepData(note, "noting", { word: "one" })], known, context, () =>
      done.push("before"),
    );
    expect(done).toEqual(["before", "one"]);
  });

  it("stops at the first failure, which names its step and keeps its hint; a bug passes untouched", async () => {
    const { done, known, context, note } = workshop();
    const words = (middle: string) =>
      ["one", middle, "two"].map((word) => stepData(note, `noting ${word}`, { word }));
    await expect(executeSteps(words("fail"), known, context)).rejects.toMatchObject({
      name: "Fail",
      message: "noting fail: no paper",
      hint: "buy some",
    });
    expect(done).toEqual(["one"]);
    await expect(executeSteps(words("bug"), known, context)).rejects.toThrow(new TypeError("oops"));
  });

  it("starts no step after it was told to stop", async () => {
    const { done, known, context, stop, note } = workshop();
    const reason = new Fail("interrupted");
    const halting = new Map(known);
    halting.set("halt", {
      ...note,
      kind: "halt",
      schema: z.strictObject({}),
      run: async () => stop.abort(reason),
    } as unknown as Step);
    const steps = [{ kind: "halt", doing: "halting" }, stepData(note, "noting", { word: "late" })];
    await expect(executeSteps(steps, halting, context)).rejects.toBe(reason);
    expect(done).toEqual([]);
  });

  it("works under one umask whoever starts it, and gives theirs back, also after a failure", async () => {
    const { done, known, context, note } = workshop();
    const own = process.umask(0o077);
    try {
      await executeSteps([stepData(note, "noting", { word: "mask", mask: true })], known, context);
      expect(process.umask()).toBe(0o077);
      await executeSteps([stepData(note, "noting", { word: "fail" })], known, context).catch(() => {});
      expect(process.umask()).toBe(0o077);
    } finally {
      process.umask(own);
    }
    expect(done).toEqual(["mask 22"]);
  });
});
