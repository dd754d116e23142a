import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeWhole } from "../../system/files/write-whole.ts";

/** When each task of a command began and how long it took, in ms from the command's beginning; by the task's path. */
const Timeline = z.strictObject({
  total: z.number().nonnegative(),
  tasks: z.record(z.string(), z.tuple([z.number(), z.number()])),
});
export type Timeline = z.output<typeof Timeline>;
const Timelines = z.record(z.string(), Timeline);

/** Shorter commands are over before a guess helps. */
const worthKnowingMs = 20_000;
const keptCommands = 40;

/** How long the rest took the last time; undefined where no running task is known from then. The running are the outer first. */
export function timeLeft(
  last: Timeline,
  running: readonly { readonly path: string; readonly began: number }[],
  now: number,
): number | undefined {
  for (const { path, began } of [...running].reverse()) {
    const known = last.tasks[path];
    if (known === undefined) continue;
    const [at, took] = known;
    return Math.max(0, last.total - at - Math.min(now - began, took));
  }
  return undefined;
}

/** The last run of a command on this machine, and where this one goes. Nothing that goes wrong with the file matters. */
export function timings(
  cache: string,
  command: string,
): { readonly last: Timeline | undefined; save(now: Timeline): Promise<void> } {
  const file = join(cache, "timings.json");
  const all = readTimelines(file);
  return {
    last: all[command],
    save: async (now) => {
      if (now.total < worthKnowingMs) return;
      const { [command]: _, ...others } = readTimelines(file);
      const kept = [...Object.entries(others), [command, now] as const].slice(-keptCommands);
      try {
        await mkdir(cache, { recursive: true });
        await writeWhole(file, JSON.stringify(Object.fromEntries(kept)));
      } catch {
        // A cache that cannot be written has said so where it matters.
      }
    },
  };
}

function readTimelines(file: string): z.output<typeof Timelines> {
  try {
    return Timelines.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {};
  }
}
