import { describe, expect, it } from "vitest";
import { rehearsedReport } from "../../../../src/operator/report/rehearsed.ts";
import { sampleReports } from "../../../helpers/builders/sample-reports.ts";

const good = { check: "/srv is kept", ok: true, seconds: 0, detail: "passed" };

describe("the report of a rehearsed deploy", () => {
  it("holds what was looked at in the machine too", () => {
    const health = [...sampleReports.done.health, good];
    expect(rehearsedReport(sampleReports.done, health)).toEqual({ ...sampleReports.done, health });
  });

  it("says that it failed where a check failed, also one that a deploy would accept", () => {
    const health = [...sampleReports.degraded.health, { ...good, ok: false }];
    expect(rehearsedReport(sampleReports.degraded, health)).toMatchObject({
      outcome: "failed",
      message: "2 of 7 checks of the new system failed: unit nginx.service, /srv is kept",
      health,
    });
  });
});
