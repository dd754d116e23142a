import type { RunnerTestFile } from "vitest";
import { readDurations } from "./reached.ts";

/** What the instrumented sources read and write: Stryker's names. */
interface Stryker {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: {
    static: Record<string, number>;
    perTest: Record<string, Record<string, number>>;
  };
}
interface Loaded {
  readonly files: RunnerTestFile[];
  readonly stryker: Stryker;
  /** Of an earlier process, in which the tests have run already: then they are not run again before the changes. */
  readonly durations: Readonly<Record<string, number>> | undefined;
}

// The runner and the tests may have this module twice; the process has these once.
const process_ = globalThis as { __stryker__?: Stryker; __loaded__?: Loaded };
process_.__stryker__ ??= {};
process_.__loaded__ ??= {
  files: [],
  stryker: process_.__stryker__,
  durations: readDurations(process.env.IMGBUILD_MUTANTS!),
};

/** The tests of this process, and the switch of its changes. */
export const loaded: Loaded = process_.__loaded__;
