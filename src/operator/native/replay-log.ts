import { z } from "zod";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";

/** What `--json` says about progress and failure; other events and fields pass by. */
export const LogEvent = z.object({
  event: z.string(),
  /** The tasks that it happened in, the outermost first. */
  task: z.array(z.string()).default([]),
  ok: z.boolean().optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  done: z.number().optional(),
  total: z.number().optional(),
  unit: z.string().optional(),
});
export type LogEvent = z.output<typeof LogEvent>;

/** Tells another imgbuild's events as if they happened here. `close` ends the tasks that it did not end itself. */
export function replayTo(log: Log): { tell(event: LogEvent): Promise<void>; close(): Promise<void> } {
  interface Open {
    readonly log: Log;
    end(ok: boolean): Promise<void>;
  }
  const open = new Map<string, Open>();
  const logOf = (task: readonly string[]) => open.get(JSON.stringify(task))?.log ?? log;
  const begin = (task: readonly string[]) => {
    let settle = (_ok: boolean) => {};
    const told = logOf(task.slice(0, -1))
      .task(task.at(-1) ?? "", (inner) => {
        const work = new Promise<void>((resolve, reject) => {
          settle = (ok) => (ok ? resolve() : reject(new Fail("failed elsewhere")));
        });
        open.set(JSON.stringify(task), {
          log: inner,
          end: async (ok) => {
            settle(ok);
            await told;
          },
        });
        return work;
      })
      .catch(() => {});
  };
  const end = async (key: string, ok: boolean) => {
    const task = open.get(key);
    open.delete(key);
    await task?.end(ok);
  };
  return {
    async tell({ event, task, ok, message = "", done = 0, total = 0, unit = "" }) {
      if (event === "start") begin(task);
      else if (event === "end") await end(JSON.stringify(task), ok === true);
      else if (event === "info") logOf(task).info(message);
      else if (event === "warn") logOf(task).warn(message);
      else if (event === "progress") logOf(task).progress(done, total, unit);
    },
    async close() {
      for (const key of [...open.keys()].reverse()) await end(key, false);
    },
  };
}
