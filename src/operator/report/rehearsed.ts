import type { Report } from "../../schema/report.ts";

/** The report of a rehearsed deploy, with what was looked at in the machine. A fault that a deploy may accept is a failure here. */
export function rehearsedReport({ message: _, ...report }: Report, health: Report["health"]): Report {
  const failed = health.filter(({ ok }) => !ok).map(({ check }) => check);
  if (failed.length === 0) return { ...report, health };
  const message = `${failed.length} of ${health.length} checks of the new system failed: ${failed.join(", ")}`;
  return { ...report, outcome: "failed", message, health };
}
