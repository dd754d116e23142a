import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { shownOf, type TestReport, testPage } from "../../../../src/operator/report/test-page.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const passed = { check: "it boots", ok: true, seconds: 12.5, detail: "passed" };
const failed = { check: "port <80>", ok: false, seconds: 1, detail: "nothing listens\n<b>there</b>" };

function reportOf(directory: string): TestReport {
  return {
    version: 1,
    hostname: "web",
    definition: "5d1c",
    ok: false,
    machines: [
      {
        firmware: "bios",
        seconds: 20,
        results: [passed, failed],
        evidence: [{ of: "port <80>", directory }],
      },
      { firmware: "uefi", seconds: 30, results: [passed], evidence: [] },
    ],
  };
}

describe("the page of a test", () => {
  it("says what failed, under which firmware, and shows screen, journal and console of it", () => {
    const dir = tempDir();
    const png = Buffer.alloc(9_000, 0xa5);
    writeFileSync(join(dir, "screen.png"), png);
    writeFileSync(join(dir, "journal.txt"), "<script>a line of the journal</script>\n\x1b[31mred");
    writeFileSync(join(dir, "console.log"), "web login:\r\n");
    const page = testPage(reportOf(dir), shownOf);
    expect(page).toContain("Failed: 1 of 3 checks</h1>");
    expect(page).toContain("<h2>Started by bios</h2>");
    expect(page).toContain("<h2>Started by uefi</h2>");
    expect(page.indexOf("port &#60;80&#62;")).toBeLessThan(page.indexOf("it boots"));
    expect(page).toContain("nothing listens\n&#60;b&#62;there");
    // Whole, however long.
    expect(page).toContain(`<img src="data:image/png;base64,${png.toString("base64")}" alt="The screen of`);
    expect(page).toContain("&#60;script&#62;a line of the journal&#60;/script&#62;\n\\x1b[31mred");
    expect(page).toContain("<pre>web login:");
    expect(page).not.toMatch(/https?:|<script|(href|action)=|src="(?!data:image\/png;base64,)/);
  });

  it("does without what could not be had of a failure", () => {
    const dir = join(tempDir(), "bios");
    mkdirSync(dir);
    const page = testPage(reportOf(dir), shownOf);
    expect(page).toContain(dir);
    expect(page).not.toMatch(/<img|<details/);
  });

  it("says that all passed", () => {
    const machines = reportOf("").machines.slice(1);
    expect(testPage({ ...reportOf(""), ok: true, machines }, () => ({}))).toContain("Passed: 1 check</h1>");
  });
});
