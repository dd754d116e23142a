import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import { calendarProblem, needsEvent } from "./calendar.ts";
import { unitLines, valuesOf } from "./unit-text.ts";

/** A timer that systemd cannot read never runs. */
export function calendarProblems(spec: Spec): Problem[] {
  const { schedule } = spec.data ?? {};
  const problem = schedule === undefined ? undefined : calendarProblem(schedule);
  const own: Problem[] =
    problem === undefined ? [] : [{ path: ["data", "schedule"], message: `${problem}; ${needsEvent}` }];
  const others = Object.entries(spec.services).flatMap(([name, { unit = "", dropIn = "" }]) =>
    Object.entries({ unit, dropIn }).flatMap(([field, text]) =>
      valuesOf(unitLines(text), "Timer", "OnCalendar").flatMap((says): Problem[] => {
        const problem = calendarProblem(says);
        if (problem === undefined) return [];
        return [
          { path: ["services", name, field], says, message: `OnCalendar=${says}: ${problem}; ${needsEvent}` },
        ];
      }),
    ),
  );
  return [...others, ...own];
}
