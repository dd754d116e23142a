import { describe, expect, it } from "vitest";
import { recoveryPage } from "../../../../src/operator/report/recovery-page.ts";
import { RecoveryReport } from "../../../../src/schema/report.ts";
import { recoverySaying, sampleRecoveries } from "../../../helpers/builders/sample-reports.ts";
import { expectSound, tagsOf, textOf } from "../../../helpers/checks/pages.ts";

describe("the page of a recovery drill", () => {
  it.each(Object.entries(sampleRecoveries))("is sound and holds every fact of the report: %s", (_, given) => {
    const report = RecoveryReport.parse(given);
    const page = recoveryPage(report);
    expectSound(page);
    const { medium, restored } = report;
    const words = [
      ...[report.hostname, report.definition, report.message, report.hint, "2026-11-29 01:02:03 UTC"],
      ...[medium?.label, medium?.sha256, report.hostKeys, report.firmware.toUpperCase()],
      ...(restored?.paths.map(({ path }) => path) ?? []),
      ...(restored?.databases.map(({ name, loaded }) => `${name} ${loaded ? "loaded" : "not loaded"}`) ?? []),
      ...(restored?.said ?? []),
      ...[...report.checks, ...report.tests].flatMap((one) => [one.check, one.ok ? "passed" : one.detail]),
    ];
    for (const word of words) expect(textOf(page)).toContain((word ?? "").replaceAll(/\s+/g, " ").trim());
  });

  it("says first whether the machine came back, and how long that took", () => {
    const first = (report: RecoveryReport) => textOf(/<h1>.*<\/h1>/.exec(recoveryPage(report))![0]).trim();
    const { done, unwell, failed } = sampleRecoveries;
    expect(first(done)).toBe("✓ Passed: guestbook.example.org was back after 5 min 45 s");
    expect(first(unwell)).toContain("✗ Failed: guestbook.example.org was back after 5 min 45 s, but");
    expect(first(failed)).toBe("✗ Failed: guestbook.example.org did not come back");
  });

  it("says what was restored, in units, and what of it was compared", () => {
    const text = textOf(recoveryPage(sampleRecoveries.done));
    for (const words of [
      "restoring the data 32 s",
      "/srv/guestbook 2 20 MiB",
      "/etc/guestbook 1 17 bytes",
      "/var/lib/absent not there",
      "restic compared each file that it restored with the backup",
      "1 of 1 passed",
      "emulated",
    ])
      expect(text).toContain(words);
    expect(textOf(recoveryPage(sampleRecoveries.failed))).toContain("Data not restored");
  });

  it("takes all that others say as text", () => {
    const hostile = `<script>alert(1)</script>"'\`&amp;<img src=x onerror=y>`;
    const page = recoveryPage(recoverySaying(hostile));
    expect(tagsOf(page)).toEqual(tagsOf(recoveryPage(recoverySaying("harmless"))));
    expect(textOf(page)).toContain(hostile);
  });
});
