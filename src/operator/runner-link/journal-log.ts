import type { JournalEntry } from "../../schema/base/journal.ts";
import type { Log } from "../../util/log.ts";

interface OpenTask {
  readonly log: Log;
  readonly settle: (ok: boolean) => void;
  readonly done: Promise<unknown>;
}

/** Shows a runner's journal in the operator's own log: each start opens a task there, each end closes it. */
export function replayJournal(log: Log): { entry(entry: JournalEntry): void; end(): void } {
  const open = new Map<string, OpenTask>();
  const parentOf = (path: string) => path.split(".").slice(0, -1).join(".");
  const logAt = (path: string): Log => open.get(path)?.log ?? (path === "" ? log : logAt(parentOf(path)));
  return {
    entry({ event }) {
      if (event.type === "start") open.set(event.path, begin(logAt(parentOf(event.path)), event.doing));
      else if (event.type === "end") {
        open.get(event.path)?.settle(event.ok);
        open.delete(event.path);
      } else if (event.type === "progress") logAt(event.path).progress(event.done, event.total, event.unit);
      else if (event.type === "info") log.info(event.message);
      else if (event.type === "warn") log.warn(event.message);
    },
    end() {
      for (const task of [...open.values()].reverse()) task.settle(false);
      open.clear();
    },
  };
}

function begin(log: Log, doing: string): OpenTask {
  let settle: (ok: boolean) => void = () => {};
  let inner: Log = log;
  const outcome = new Promise<void>((resolve, reject) => {
    settle = (ok) => (ok ? resolve() : reject(new Error("the step failed on the target")));
  });
  const done = log
    .task(doing, (own) => {
      inner = own;
      return outcome;
    })
    .catch(() => {});
  return { log: inner, settle, done };
}
