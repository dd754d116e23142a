import { resolve } from "node:path";
import type { Report } from "../../schema/report.ts";
import { exitCodes, Fail, messageOf } from "../../util/fail.ts";
import { continuedReport } from "../deploy/report.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import { reportPage } from "../report/report-page.ts";
import { placeForReport, reportLine, writeReport } from "../report/write-report.ts";
import type { Watch } from "./follow.ts";

/** Does what ends in `outcome`, and reports the whole deploy however it ends, where `report` names a file for that. */
export async function reported(
  known: KnownDeploy,
  watch: Watch,
  { report, outcome }: { readonly report: string | undefined; readonly outcome: Report["outcome"] },
  work: () => Promise<void>,
): Promise<void> {
  if (report === undefined) return await work();
  const file = resolve(report);
  await placeForReport(file, true);
  try {
    await work();
  } catch (error) {
    const isBack = error instanceof Fail && error.exitCode === exitCodes.takenBack;
    await write(file, known, watch, { outcome: isBack ? "old-system" : "failed", error });
    throw error;
  }
  await write(file, known, watch, { outcome, error: undefined });
}

/** Never throws: the outcome is known already. */
async function write(
  file: string,
  { report: before }: KnownDeploy,
  { trail, world: { log, now } }: Watch,
  end: { readonly outcome: Report["outcome"]; readonly error: unknown },
): Promise<void> {
  if (before === undefined) return log.warn("no report: an earlier version of imgbuild began this deploy");
  const report = continuedReport(before, trail, { ...end, now: now() });
  try {
    await writeReport(file, report, reportPage(report));
    log.info(reportLine(file));
  } catch (problem) {
    log.warn(`the report could not be written: ${messageOf(problem)}`);
  }
}
