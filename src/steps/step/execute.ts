import type { StepData } from "../../schema/plan.ts";
import { during, Fail } from "../../util/fail.ts";
import type { Step, StepContext } from "./step.ts";

/**
 * Works through a plan. Every step's data is checked before the first one runs, so a plan that cannot be understood
 * changes nothing; `before` is waited for between the check and the first step.
 */
export async function executeSteps(
  steps: readonly StepData[],
  known: ReadonlyMap<string, Step>,
  context: StepContext,
  before: () => unknown = () => {},
): Promise<void> {
  const ready = steps.map(({ kind, doing, ...data }) => {
    const step = known.get(kind);
    if (step === undefined) throw new Fail(`the plan has a step of the unknown kind ${kind}`);
    const input = step.schema.safeParse(data);
    if (!input.success)
      throw new Fail(
        `step "${doing}" (${kind}): ${input.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}`,
      );
    return { step, doing, input: input.data };
  });
  await before();
  // What is made, by us and by every program we start, must not depend on who builds.
  const own = process.umask(0o022);
  try {
    for (const { step, doing, input } of ready) {
      context.signal.throwIfAborted();
      await context.log.task(doing, (log) => during(doing, () => step.run(input, { ...context, log })));
    }
  } finally {
    process.umask(own);
  }
}
