import type { RunnerWorld } from "../../../src/target/runner.ts";

/** For a runner whose base has no dead man, and whose work nobody ends. */
export const noDeadMan: Pick<RunnerWorld, "stop" | "deadMan"> = {
  stop: () => {},
  deadMan: { rearm: () => {}, standDown: () => Promise.resolve() },
};
