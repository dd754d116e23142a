import type { Plan, StepData } from "../../schema/plan.ts";
import { allSteps } from "../../steps/registry.ts";
import { actionLines } from "../../steps/step/actions.ts";

/** The steps of a plan, a line each. With `commands` all of them, also those before the first write, and below each what it runs. */
export function stepLines({ prepare, steps }: Plan, commands: boolean): string[] {
  const listed = (some: readonly StepData[]) =>
    some.flatMap((step, index) => [
      `${String(index + 1).padStart(3)}. ${step.doing}`,
      ...(commands ? commandLines(step).map((line) => `       ${line}`) : []),
    ]);
  if (!commands) return listed(steps);
  return ["before the first write:", ...listed(prepare), "", "then:", ...listed(steps)];
}

/** What a step runs; of one that is no list of commands, what it is for. */
function commandLines({ kind, doing: _, ...data }: StepData): string[] {
  const step = allSteps.get(kind);
  return step?.actions === undefined
    ? [`# ${step?.summary ?? kind}`]
    : actionLines(step.actions(step.schema.parse(data)));
}
