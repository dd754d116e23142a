import type { BuildReport } from "../../schema/report.ts";
import type { Log } from "../../util/log.ts";

type Step = BuildReport["seconds"]["steps"][number];

/** A log that notes when each task began and how long it took, those that began first in front. One that goes on has no time yet. */
export function timedLog(log: Log, clock: () => number): { readonly log: Log; readonly steps: Step[] } {
  const began = clock();
  const steps: Step[] = [];
  const timed = (to: Log, depth: number): Log => ({
    ...to,
    async task(doing, work) {
      const start = clock();
      const step = { doing, depth, from: (start - began) / 1000, seconds: 0, ok: false };
      steps.push(step);
      try {
        const value = await to.task(doing, (inner) => work(timed(inner, depth + 1)));
        step.ok = true;
        return value;
      } finally {
        step.seconds = (clock() - start) / 1000;
      }
    },
  });
  return { log: timed(log, 0), steps };
}
