import type { Report } from "../../schema/report.ts";
import { exitCodes, Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Trail } from "../deploy/phases.ts";
import { continuedReport } from "../deploy/report.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import { reportPage } from "../report/report-page.ts";
import { reportLine, writeReport } from "../report/write-report.ts";

/** Writes the report of a deploy that was followed to its end, where `file` says so. Never throws: the outcome is known already. */
export async function writeContinued(
  { report: before }: Pick<KnownDeploy, "report">,
  trail: Trail,
  end: {
    readonly file: string | undefined;
    readonly outcome: Report["outcome"];
    readonly error: unknown;
  },
  { log }: { readonly log: Log },
): Promise<void> {
  const { file, error } = end;
  if (file === undefined) return;
  if (before === undefined) return log.warn("no report: an earlier version of imgbuild began this deploy");
  const isBack = error instanceof Fail && error.exitCode === exitCodes.takenBack;
  const outcome = isBack ? "old-system" : end.outcome;
  const report = continuedReport(before, trail, { outcome, error, now: Date.now() });
  try {
    await writeReport(file, report, reportPage(report));
    log.info(reportLine(file));
  } catch (problem) {
    log.warn(`the report could not be written: ${messageOf(problem)}`);
  }
}
