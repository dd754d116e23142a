import { readFileSync } from "node:fs";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { z } from "zod";
import { ignoreProse } from "./ignore-prose.ts";

/** A change of one place in the source. */
export const Change = z.strictObject({
  id: z.string(),
  file: z.string(),
  /** From 1. */
  line: z.int(),
  kind: z.string(),
  becomes: z.string(),
});
export type Change = z.output<typeof Change>;

/** The sources with every change beside what stands there; which one acts is chosen while they run. */
export const Instrumented = z.strictObject({
  /** Text by path, relative to the project. */
  sources: z.record(z.string(), z.string()),
  changes: z.array(Change),
});
export type Instrumented = z.output<typeof Instrumented>;

const silent = () => undefined;
const off = () => false;
const logger = {
  isTraceEnabled: off,
  isDebugEnabled: off,
  isInfoEnabled: off,
  isWarnEnabled: off,
  isErrorEnabled: off,
  isFatalEnabled: off,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

/** Stryker's changes of `files`, paths relative to the project, but for the words of messages. */
export async function instrument(files: readonly string[]): Promise<Instrumented> {
  const wanted = files.map((name) => ({ name, mutate: true, content: readFileSync(name, "utf8") }));
  const result = await new Instrumenter(logger).instrument(wanted, {
    ignorers: [ignoreProse as never],
    excludedMutations: [],
    plugins: null,
    noHeader: false,
  });
  return {
    sources: Object.fromEntries(result.files.map(({ name, content }) => [name, content])),
    changes: result.mutants
      .filter(({ status }) => status !== "Ignored")
      .map(({ id, fileName, location, mutatorName, replacement }) => ({
        id,
        file: fileName,
        line: location.start.line + 1,
        kind: mutatorName,
        becomes: replacement ?? "",
      })),
  };
}
