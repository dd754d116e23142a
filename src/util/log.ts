import { seconds } from "./count.ts";
import { visibleLine, visibleUnder } from "./visible.ts";

const plainProgressEveryMs = 5_000;

/** Where progress goes. Gerunds for tasks ("unpacking 135 packages"), sentences for the rest; never secrets. */
export interface Log {
  /** A unit of work, nested and timed; ends with `work`, whatever its outcome. */
  task<T>(doing: string, work: (log: Log) => Promise<T>): Promise<T>;
  info(message: string): void;
  warn(message: string): void;
  /** How far the current task is; `unit` as in "packages" or "MiB". */
  progress(done: number, total: number, unit: string): void;
}

/** A log that says nothing, for tests and for callers that do not care. */
export const silentLog: Log = {
  task: (_doing, work) => work(silentLog),
  info: () => {},
  warn: () => {},
  progress: () => {},
};

/** Plain lines for a pipe: a line when a task begins, one when it ends, progress every few seconds. */
export function plainLog(out: { write(text: string): void }, clock: () => number, depth = 0): Log {
  const indent = "  ".repeat(depth);
  const more = `${indent}  `;
  let lastProgress = 0;
  return {
    async task(what, work) {
      const doing = visibleLine(what);
      const began = clock();
      out.write(`${indent}${doing} …\n`);
      try {
        const value = await work(plainLog(out, clock, depth + 1));
        out.write(`${indent}${doing}: done in ${seconds(clock() - began)}\n`);
        return value;
      } catch (error) {
        out.write(`${indent}${doing}: FAILED after ${seconds(clock() - began)}\n`);
        throw error;
      }
    },
    info: (message) => out.write(`${indent}${visibleUnder(message, more)}\n`),
    warn: (message) => out.write(`${indent}warning: ${visibleUnder(message, more)}\n`),
    progress(done, total, unit) {
      const now = clock();
      if (now - lastProgress < plainProgressEveryMs) return;
      lastProgress = now;
      out.write(`${indent}${done} of ${total} ${visibleLine(unit)}\n`);
    },
  };
}
