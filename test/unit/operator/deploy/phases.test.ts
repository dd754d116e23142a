import { describe, expect, it } from "vitest";
import { newTrail, runPhase } from "../../../../src/operator/deploy/phases.ts";
import type { DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { silentLog } from "../../../../src/util/log.ts";

describe("a phase of a deploy", () => {
  let now = 0;
  const notes: string[] = [];
  const log = {
    ...silentLog,
    task: async <T>(doing: string, work: (inner: typeof silentLog) => Promise<T>) => {
      notes.push(doing);
      return await work(silentLog);
    },
  };
  const world = { log, now: () => now } as unknown as DeployWorld;

  it("is a task of the log, gives what its work gives, and is timed, also when it fails", async () => {
    const trail = newTrail();
    const work = async (inner: DeployWorld) => {
      expect(inner.log).toBe(silentLog);
      now += 2_000;
      return "found";
    };
    expect(await runPhase("inspect", "inspecting web", { world, trail }, work)).toBe("found");
    const failing = async () => {
      now += 3_000;
      throw new Error("no further");
    };
    const failed = runPhase("ship", "shipping", { world, trail }, failing);
    await expect(failed).rejects.toThrow("no further");
    expect(notes).toEqual(["inspecting web", "shipping"]);
    expect(trail.all("phase").map(({ phase, seconds }) => [phase, seconds])).toEqual([
      ["inspect", 2],
      ["ship", 3],
    ]);
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
