import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** Which tests reach which changes: found by the first process of a part, for those that follow. */
const Reached = z.strictObject({
  /** By id of change: ids of tests, and how often each passes it. */
  byChange: z.record(z.string(), z.array(z.strictObject({ test: z.string(), hits: z.int() }))),
  /** Ids of changes that act while their module is loaded. */
  statically: z.array(z.string()),
});
export type Reached = z.output<typeof Reached>;
const File = z.strictObject({ reached: Reached, durations: z.record(z.string(), z.number()) });

const fileIn = (directory: string) => join(directory, "reached.json");

function read(directory: string): z.output<typeof File> | undefined {
  const file = fileIn(directory);
  return existsSync(file) ? File.parse(JSON.parse(readFileSync(file, "utf8"))) : undefined;
}

export function readReached(directory: string): Reached | undefined {
  return read(directory)?.reached;
}

/** Milliseconds by id of test. */
export function readDurations(directory: string): Readonly<Record<string, number>> | undefined {
  return read(directory)?.durations;
}

export function writeReached(
  directory: string,
  reached: Reached,
  durations: Readonly<Record<string, number>>,
): void {
  writeFileSync(fileIn(directory), JSON.stringify({ reached, durations }));
}
