import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, type RunnerTestCase, type RunnerTestSuite, TestRunner, vi } from "vitest";
import { Instrumented } from "./instrument.ts";
import { loaded } from "./loaded.ts";
import { type Reached, readReached, writeReached } from "./reached.ts";
import { noteLife, noteResult, type Outcome, readResults } from "./results.ts";

const directory = process.env.IMGBUILD_MUTANTS!;
const { stryker } = loaded;
/** A loop that passes a change so many times more than without it has no end. */
const hitFactor = 3;
const moreHits = 10_000;
const testMs = 2_000;
const testFactor = 5;
// Before any test puts its own in their place.
const timers = { setTimeout, clearTimeout };

/** Where Vitest keeps what `onTestFinished` was given. */
interface Ending {
  onFinished?: ((context: object) => unknown)[];
}
interface Reach {
  readonly test: RunnerTestCase;
  readonly hits: number;
}

it("runs the tests for each change", { timeout: 0 }, async () => {
  const tests = loaded.files.flatMap((file) => testsBelow(file));
  // Each run of a test listens to its signal anew.
  for (const { context } of tests) setMaxListeners(0, context.signal);
  const reached = readReached(directory) ?? (await lookWhatIsReached(tests));
  const byId = new Map(tests.map((test) => [test.id, test]));
  const { changes } = Instrumented.parse(
    JSON.parse(readFileSync(join(directory, "instrumented.json"), "utf8")),
  );
  const before = readResults(directory);
  for (const { id } of changes) {
    const had = before.get(id);
    if (had !== undefined && had !== "unclear") continue;
    noteResult(directory, id, "begun");
    const reaches = (reached.byChange[id] ?? []).map(({ test, hits }) => ({ test: byId.get(test)!, hits }));
    const isStatic = reached.statically.includes(id);
    const outcome = await tryChange(id, reaches, isStatic);
    noteResult(directory, id, outcome);
    // What is broken in this process stays so; the next one goes on.
    if (outcome === "unclear") return;
  }
});

/** Of the first process, in which every test has run: the tests that reach each change, the fastest first. */
async function lookWhatIsReached(tests: readonly RunnerTestCase[]): Promise<Reached> {
  const failed = tests.filter(({ result }) => result?.state === "fail");
  expect(failed.map((test) => test.name)).toEqual([]);
  const passed = await repeatable(tests.filter(({ result }) => result?.state === "pass"));
  const coverage = stryker.mutantCoverage;
  const byChange: Reached["byChange"] = {};
  for (const test of passed.toSorted((a, b) => durationOf(a) - durationOf(b)))
    for (const [id, hits] of Object.entries(coverage?.perTest[test.id] ?? {})) {
      byChange[id] ??= [];
      byChange[id].push({ test: test.id, hits });
    }
  const reached = { byChange, statically: Object.keys(coverage?.static ?? {}) };
  writeReached(directory, reached, Object.fromEntries(passed.map((test) => [test.id, durationOf(test)])));
  return reached;
}

/** Those that pass once more in this process; the others are named, and count for nothing. */
async function repeatable(tests: readonly RunnerTestCase[]): Promise<readonly RunnerTestCase[]> {
  const kept: RunnerTestCase[] = [];
  for (const test of tests)
    if (await passesNow(test)) kept.push(test);
    else console.log(`cannot be repeated: ${test.file.name}: ${test.name}`);
  expect(kept.length).toBeGreaterThan(0);
  return kept;
}

async function tryChange(id: string, reaches: readonly Reach[], isStatic: boolean): Promise<Outcome> {
  if (reaches.length === 0) return isStatic ? "static" : "unreached";
  for (const { test, hits } of reaches) {
    Object.assign(stryker, { activeMutant: id, hitCount: 0, hitLimit: hits * hitFactor + moreHits });
    const passes = await passesNow(test);
    noteLife(directory);
    Object.assign(stryker, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined });
    if (!passes) return (await passesNow(test)) ? "noticed" : "unclear";
  }
  return "missed";
}

function durationOf(test: RunnerTestCase): number {
  return loaded.durations?.[test.id] ?? test.result?.duration ?? 0;
}

/** Runs a test once more, with its hooks, within its bound. */
async function passesNow(test: RunnerTestCase): Promise<boolean> {
  const around = suitesAround(test);
  const after: (() => unknown)[] = [];
  let passes = true;
  const attempt = async (what: () => unknown) => {
    try {
      await what();
    } catch {
      passes = false;
    }
  };
  await within(testMs + testFactor * durationOf(test), async () => {
    await attempt(async () => {
      for (const suite of around)
        for (const hook of TestRunner.getSuiteHooks(suite).beforeEach) {
          const undo = await hook(test.context, suite);
          if (typeof undo === "function") after.push(undo as () => unknown);
        }
      await TestRunner.getTestFn(test)();
    });
    for (const suite of around.toReversed())
      for (const hook of TestRunner.getSuiteHooks(suite).afterEach.toReversed())
        await attempt(() => hook(test.context, suite));
    // A test that asks for an end of its own asks the one that is running: this one.
    const running = TestRunner.getCurrentTest() as Ending;
    for (const end of (running.onFinished ?? []).toReversed()) after.push(() => end(test.context));
    running.onFinished = [];
    for (const undo of after) await attempt(undo);
  }).catch(() => {
    passes = false;
  });
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  return passes;
}

async function within(ms: number, run: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = timers.setTimeout(() => reject(new Error("the test takes too long")), ms);
  });
  try {
    await Promise.race([run(), late]);
  } finally {
    timers.clearTimeout(timer);
  }
}

/** From the file inwards. */
function suitesAround(test: RunnerTestCase): RunnerTestSuite[] {
  const suites: RunnerTestSuite[] = [];
  for (let suite = test.suite; suite !== undefined; suite = suite.suite) suites.unshift(suite);
  return [test.file, ...suites];
}

function testsBelow(suite: RunnerTestSuite): RunnerTestCase[] {
  if (TestRunner.getSuiteHooks(suite).beforeAll.length > 0)
    throw new Error(`${suite.name} has hooks that run once only`);
  return suite.tasks.flatMap((task) => (task.type === "test" ? [task] : testsBelow(task)));
}
