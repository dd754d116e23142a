import { seconds } from "../../util/count.ts";
import type { Log } from "../../util/log.ts";
import { visibleLine, visibleUnder } from "../../util/visible.ts";
import { type Colours, coloursFor } from "./colour.ts";
import { type Timeline, timeLeft } from "./timings.ts";

const liveEveryMs = 100;

/** Where text goes; a terminal tells its width. */
interface Output {
  write(text: string): void;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Events for programs, one JSON object a line. */
export function jsonLog(
  emit: (event: Record<string, unknown>) => void,
  clock: () => number,
  path: readonly string[] = [],
): Log {
  return {
    async task(doing, work) {
      const began = clock();
      const own = [...path, doing];
      emit({ event: "start", task: own });
      const end = (ok: boolean) => emit({ event: "end", task: own, ok, seconds: (clock() - began) / 1000 });
      try {
        const value = await work(jsonLog(emit, clock, own));
        end(true);
        return value;
      } catch (error) {
        end(false);
        throw error;
      }
    },
    info: (message) => emit({ event: "info", task: path, message }),
    warn: (message) => emit({ event: "warn", task: path, message }),
    progress: (done, total, unit) => emit({ event: "progress", task: path, done, total, unit }),
  };
}

/** For `--quiet`: what a person has to know, and no progress. */
export function quietLog(out: Output): Log {
  const log: Log = {
    task: (_doing, work) => work(log),
    info: () => {},
    warn: (message) => out.write(`warning: ${visibleUnder(message, "  ")}\n`),
    progress: () => {},
  };
  return log;
}

interface LiveLog {
  readonly log: Log;
  /** What this command took so far. */
  timeline(): Timeline;
  /** Leaves the screen alone while `work` talks to the person, then goes on. */
  aside<T>(work: () => Promise<T>): Promise<T>;
  stop(): void;
}

/**
 * A terminal: finished tasks stay as lines, the running ones are redrawn below them with time and progress, and with what is
 * left by the `last` run of the same command.
 */
export function liveLog(
  out: Output,
  clock: () => number,
  { colours = coloursFor({}, {}), last }: { colours?: Colours; last?: Timeline | undefined } = {},
): LiveLog {
  const running: RunningTask[] = [];
  const start = clock();
  const tasks: Timeline["tasks"] = {};
  let drawn = 0;
  const clear = () => {
    if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  let quiet = false;
  const draw = () => {
    if (quiet) return;
    clear();
    const left = last && timeLeft(last, running, clock());
    const lines = [
      ...running.map((task) => runningLine(task, clock(), out.columns ?? 80)),
      ...(left === undefined ? [] : [colours.faint(`about ${roughly(left)} left, by the last time`)]),
    ];
    out.write(lines.map((line) => `${line}\n`).join(""));
    drawn = lines.length;
  };
  const say = (line: string) => {
    clear();
    out.write(`${line}\n`);
    draw();
  };
  const timer = setInterval(draw, liveEveryMs).unref();
  const make = (depth: number, own?: RunningTask): Log => ({
    async task(what, work) {
      const doing = visibleLine(what);
      const path = own === undefined ? doing : `${own.path} / ${doing}`;
      const entry = { doing, path, depth, began: clock(), note: "" };
      running.push(entry);
      draw();
      const end = (mark: string) => {
        running.splice(running.indexOf(entry), 1);
        tasks[path] = [entry.began - start, clock() - entry.began];
        say(`${"  ".repeat(depth)}${mark} ${doing} ${seconds(clock() - entry.began)}`);
      };
      try {
        const value = await work(make(depth + 1, entry));
        end(colours.good("✔"));
        return value;
      } catch (error) {
        end(colours.bad("✘"));
        throw error;
      }
    },
    info: (message) => say(`${"  ".repeat(depth)}${visibleUnder(message, "  ".repeat(depth + 1))}`),
    warn: (message) =>
      say(
        `${"  ".repeat(depth)}${colours.careful("warning:")} ${visibleUnder(message, "  ".repeat(depth + 1))}`,
      ),
    progress(done, total, unit) {
      if (own !== undefined) own.note = ` · ${done} of ${total} ${visibleLine(unit)}`;
    },
  });
  return {
    log: make(0),
    timeline: () => ({ total: clock() - start, tasks }),
    async aside(work) {
      clear();
      quiet = true;
      try {
        return await work();
      } finally {
        quiet = false;
        draw();
      }
    },
    stop() {
      clearInterval(timer);
      clear();
    },
  };
}

interface RunningTask {
  readonly doing: string;
  /** With those that it is a part of. */
  readonly path: string;
  readonly depth: number;
  readonly began: number;
  note: string;
}

function runningLine({ doing, depth, began, note }: RunningTask, now: number, width: number): string {
  const text = `${"  ".repeat(depth)}▸ ${doing} ${seconds(now - began)}${note}`;
  return [...text].slice(0, width - 1).join("");
}

/** "less than a minute", "3 min": a guess is no better than that. */
function roughly(ms: number): string {
  return ms < 45_000 ? "less than a minute" : `${Math.max(1, Math.round(ms / 60_000))} min`;
}
