import { reportLine } from "../../operator/report/write-report.ts";
import type { Report } from "../../schema/report.ts";
import { seconds } from "../../util/count.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Cli } from "./context.ts";

/** Shows what came of a deploy; a Fail with the exit code of the outcome, or one that is shown instead, unless it is done. */
export function showOutcome(
  report: Report,
  file: string,
  cli: Pick<Cli, "emit" | "print">,
  instead?: Fail,
): void {
  cli.emit({ event: "report", file, report });
  if (instead !== undefined) throw instead;
  const downtime =
    report.seconds.downtime === null ? "" : `, ${seconds(report.seconds.downtime * 1000)} of it down`;
  if (report.outcome === "done") {
    cli.print(
      `${report.host} is now ${report.hostname} (${report.os.new}); ${seconds(report.seconds.total * 1000)}${downtime}`,
    );
    if (report.message !== undefined) cli.print(`degraded, as accepted: ${report.message}`);
    cli.print(reportLine(file));
    return;
  }
  const [what, exitCode] = (
    {
      refused: ["refused, nothing was changed", exitCodes.refused],
      "old-system": ["failed before any disk was written; the old system is in place", exitCodes.takenBack],
      failed: ["failed", exitCodes.failed],
    } as const
  )[report.outcome];
  throw new Fail(`${what}: ${report.message ?? ""}\n${reportLine(file)}`, {
    exitCode,
    ...(report.hint === undefined ? {} : { hint: report.hint }),
  });
}
