import { describe, expect, it } from "vitest";
import { reportPage } from "../../../../src/operator/report/report-page.ts";
import { sampleReports, saying } from "../../../helpers/builders/sample-reports.ts";
import { expectSound, tagsOf, textOf } from "../../../helpers/checks/pages.ts";

const { done, degraded, refused, beforeWrite, afterWrite } = sampleReports;

describe("the page of a deploy", () => {
  it.each([
    ["done", done, "Done: web.example.org runs Debian GNU/Linux 13 (trixie)"],
    ["degraded", degraded, "Done, with a fault that was accepted: web.example.org runs"],
    ["refused", refused, "Refused: nothing was changed"],
    [
      "failed before the first write",
      beforeWrite,
      "Failed before any disk was written: the old system is in",
    ],
    ["failed after it", afterWrite, "Failed: no system is proven"],
    [
      "failed without having seen the host",
      { ...afterWrite, os: { old: "", new: null } },
      "was not looked at",
    ],
    ["failed checks", { ...degraded, outcome: "failed" as const }, "(trixie), but it is not well"],
  ])("says first what came of it: %s", (_, report, words) => {
    const page = reportPage(report);
    expect(textOf(/<h1>.*<\/h1>/.exec(page)![0])).toContain(words);
    expect(page.indexOf("<h1>")).toBeLessThan(page.indexOf("<h2>"));
  });

  it.each(Object.entries(sampleReports))("holds every fact of the report: %s", (_, report) => {
    const text = textOf(reportPage(report));
    const words = [
      ...[report.host, report.hostname, report.definition, report.planDigest, report.message, report.hint],
      ...[report.os.old, report.os.new, report.bootIds.old, report.bootIds.base, report.bootIds.new],
      ...report.seconds.phases.map(({ phase }) => phase),
      ...report.seconds.steps.map(({ doing }) => doing),
      ...report.disks.flatMap(({ before = [], after = [], ...disk }) => [
        ...[disk.name, disk.serial, disk.model, disk.tableUuid],
        ...[...before, ...after].flatMap(({ name, holds, fate }) => [name, holds, fate]),
      ]),
      ...report.preflight.flatMap(({ check, detail, hint }) => [check, detail, hint]),
      ...report.health.flatMap(({ check, ok, detail }) => [check, ok ? "passed" : "failed", detail]),
    ];
    for (const word of words) expect(text).toContain((word ?? "").replaceAll(/\s+/g, " ").trim());
    for (const word of ["2026-11-29 01:02:03 UTC", `${report.packages!.count}, of them 12 from`])
      expect(text).toContain(word);
  });

  it("shows times, sizes and the downtime in units", () => {
    const text = textOf(reportPage(done));
    for (const words of [
      "Took 6 min 40 s",
      "Host was down 4 min 15 s",
      "host is down 4 min 15 s",
      "40.0 GiB",
    ])
      expect(text).toContain(words);
    expect(textOf(reportPage(refused))).toContain("Host was down not known");
  });

  it("marks the phase in which it ended, unless it is done", () => {
    expect(textOf(reportPage(afterWrite))).toMatch(/build \(ended here\)/);
    expect(reportPage(done)).not.toContain("ended here");
  });

  it("says of a disk that the plan writes what has become of it", () => {
    expect(textOf(reportPage(done))).toContain("system: written");
    expect(textOf(reportPage(beforeWrite))).toContain("system: not written");
    expect(textOf(reportPage(afterWrite))).toContain("system: may be written");
    for (const report of [done, beforeWrite, afterWrite])
      expect(textOf(reportPage(report))).toContain("data: kept");
  });

  it("shows what failed before what passed", () => {
    const text = textOf(reportPage(degraded));
    expect(text.indexOf("unit nginx.service")).toBeLessThan(text.indexOf("no unit has failed"));
  });

  it("takes all that others say as text", () => {
    const hostile = `<script>alert(1)</script>"'\`&amp;\x1b[31m\u202e<img src=x onerror=y>${"w".repeat(300)}`;
    const page = reportPage(saying(hostile));
    expect(tagsOf(page)).toEqual(tagsOf(reportPage(saying("harmless"))));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a page must not hold
    expect(page).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
    expect(textOf(page)).toContain(String.raw`<script>alert(1)</script>"'${"`"}&amp;\x1b[31m\u{202e}<img`);
  });

  it.each(Object.entries(sampleReports))("loads nothing, runs nothing and is sound: %s", (_, report) => {
    expectSound(reportPage(report));
  });
});
