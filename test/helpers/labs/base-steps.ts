import { readFileSync } from "node:fs";
import type { StepData } from "../../../src/schema/plan.ts";
import { allSteps } from "../../../src/steps/registry.ts";
import { executeSteps } from "../../../src/steps/step/execute.ts";
import { baseContext } from "../../../src/target/context.ts";
import { messageOf } from "../../../src/util/fail.ts";
import { silentLog } from "../../../src/util/log.ts";

/** A program: does the steps of a JSON file as the base does them, on the tree that is mounted where the base mounts it. */
const steps = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as StepData[];
const context = baseContext({
  ...{ mirrors: {}, files: undefined, secrets: new Map(), log: silentLog, nonce: "0".repeat(64) },
  signal: new AbortController().signal,
  fetched: { packages: 0, bytes: 0 },
});
executeSteps(steps, allSteps, context).catch((error: unknown) => {
  console.error(messageOf(error));
  process.exitCode = 1;
});
