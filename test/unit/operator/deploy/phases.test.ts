import { describe, expect, it } from "vitest";
import { newTrail, type Phase, runPhases } from "../../../../src/operator/deploy/phases.ts";
import type { DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { inputsOfDeploy } from "../../../helpers/builders/deployable.ts";

/** Six phases that count on; each writes down when it works and when it clears up. */
function counting(failsAt?: number) {
  const notes: string[] = [];
  let now = 0;
  const phase = <From>(number: number): Phase<From, number> => ({
    name: `phase ${number}`,
    doing: ({ host }) => `${number} of ${host}`,
    run: async (_inputs, from) => {
      notes.push(`${number} after ${from ?? "nothing"}`);
      now += 1_000 * number;
      if (number === failsAt) throw new Error("no further");
      return number;
    },
    cleanup: (trail) => void notes.push(`clear ${number}, ${trail.all("phase").length} phases done`),
  });
  const log = {
    ...silentLog,
    task: async <T>(doing: string, work: (inner: typeof silentLog) => Promise<T>) => {
      notes.push(doing);
      return await work(silentLog);
    },
  };
  const world = { log, now: () => now } as unknown as DeployWorld;
  const trail = newTrail();
  const run = () =>
    runPhases(
      [phase<undefined>(1), phase(2), phase(3), phase(4), phase(5), phase(6)],
      inputsOfDeploy(),
      world,
      trail,
    );
  return { run, notes, trail };
}

describe("the phases of a deploy", () => {
  it("take each what the one before gave, and are timed; all clear up at the end, newest first", async () => {
    const { run, notes, trail } = counting();
    expect(await run()).toBe(6);
    expect(notes.slice(0, 4)).toEqual(["1 of admin@web", "1 after nothing", "2 of admin@web", "2 after 1"]);
    expect(notes.slice(12)).toEqual([6, 5, 4, 3, 2, 1].map((number) => `clear ${number}, 6 phases done`));
    expect(trail.all("phase").map(({ phase, seconds }) => [phase, seconds])).toEqual(
      [1, 2, 3, 4, 5, 6].map((number) => [`phase ${number}`, number]),
    );
  });

  it("that have begun clear up after a failure, the one that failed as well, and no other", async () => {
    const { run, notes, trail } = counting(3);
    await expect(run()).rejects.toThrow("no further");
    expect(notes.slice(6)).toEqual([3, 2, 1].map((number) => `clear ${number}, 3 phases done`));
    expect(trail.last("phase")).toMatchObject({ phase: "phase 3", seconds: 3 });
  });
});

describe("the trail of a deploy", () => {
  it("has each point in order, and the last of its kind", () => {
    const trail = newTrail();
    expect([trail.has("sent"), trail.last("sent")]).toEqual([false, undefined]);
    trail.mark({ at: "sent", base: 1, payload: 0 });
    trail.mark({ at: "go" });
    trail.mark({ at: "sent", base: 0, payload: 2 });
    expect(trail.all("sent").map(({ payload }) => payload)).toEqual([0, 2]);
    expect([trail.has("go"), trail.last("sent")?.payload]).toEqual([true, 2]);
  });
});
