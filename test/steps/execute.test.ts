import { describe, expect, it } from "vitest";
import { z } from "zod";
import { executeSteps } from "../../src/steps/execute.ts";
import { allSteps } from "../../src/steps/registry.ts";
import { defineStep, type Step, type StepContext } from "../../src/steps/step.ts";
import { Fail } from "../../src/util/fail.ts";
import { silentLog } from "../../src/util/log.ts";

function context(done: string[], signal = new AbortController().signal): StepContext {
  const never = async () => {
    throw new Error("not used here");
  };
  return {
    root: "/nowhere",
    log: silentLog,
    signal,
    tool: async (argv) => {
      done.push(argv.join(" "));
      return { code: 0, stdout: "", stderr: "" };
    },
    chroot: never,
    fetch: never,
    packagePath: () => ({ outside: "", inside: "" }),
    release: never,
    files: undefined,
    secrets: new Map(),
    nonce: undefined,
  };
}

const say = defineStep({
  kind: "say",
  summary: "say something",
  schema: z.strictObject({ what: z.string() }),
  tools: ["echo"],
  plan: ({ what }) => [["echo", what]],
});
const known = new Map<string, Step>([["say", say as unknown as Step]]);
const step = (what: unknown, kind = "say") => ({ kind, doing: `saying ${what}`, what });

describe("executeSteps", () => {
  it("runs the steps in order, after `before`", async () => {
    const done: string[] = [];
    await executeSteps([step("a"), step("b")], known, context(done), () => done.push("before"));
    expect(done).toEqual(["before", "echo a", "echo b"]);
  });

  it("runs nothing, not even `before`, when any step cannot be understood", async () => {
    for (const [bad, message] of [
      [step(1), /saying 1.*what/],
      [{ ...step("x"), more: true }, /more/],
      [step("x", "format-everything"), /unknown kind format-everything/],
    ] as const) {
      const done: string[] = [];
      await expect(
        executeSteps([step("a"), bad], known, context(done), () => done.push("before")),
      ).rejects.toThrow(message);
      expect(done).toEqual([]);
    }
  });

  it("names the step that failed, and stops there", async () => {
    const done: string[] = [];
    const failing = defineStep({
      ...say,
      run: async ({ what }) => {
        done.push(what);
        if (what === "b") throw new Fail("no voice", { hint: "drink" });
      },
    });
    const steps = [step("a"), step("b"), step("c")];
    await expect(
      executeSteps(steps, new Map([["say", failing as unknown as Step]]), context([])),
    ).rejects.toMatchObject({ message: "saying b: no voice", hint: "drink" });
    expect(done).toEqual(["a", "b"]);
  });

  it("stops between steps when it is aborted, and gives the umask back", async () => {
    const stop = new AbortController();
    const done: string[] = [];
    const own = process.umask();
    const asked = defineStep({
      ...say,
      run: async ({ what }) => {
        done.push(`${what} ${process.umask().toString(8)}`);
        stop.abort(new Fail("interrupted"));
      },
    });
    const registry = new Map([["say", asked as unknown as Step]]);
    await expect(executeSteps([step("a"), step("b")], registry, context([], stop.signal))).rejects.toThrow(
      "interrupted",
    );
    expect(done).toEqual(["a 22"]);
    expect(process.umask()).toBe(own);
  });
});

describe("allSteps", () => {
  it("knows each step by its own kind, and takes no unknown field", () => {
    for (const [kind, one] of allSteps) {
      expect(one.kind).toBe(kind);
      const result = one.schema.safeParse({ "no-such-field": 1 });
      expect(result.success).toBe(false);
      expect(JSON.stringify(result.error?.issues)).toContain("no-such-field");
    }
    expect(allSteps.size).toBeGreaterThan(20);
  });
});
