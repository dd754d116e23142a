import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { placeForReport, reportLine, writeReport } from "../../../../src/operator/report/write-report.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("a report", () => {
  it.each([
    ["report.json", "report.html"],
    ["report", "report.html"],
    ["report.html", "report.html.html"],
  ])("is written as %s, and its page beside it", async (name, pageName) => {
    const dir = tempDir();
    await writeReport(join(dir, name), { version: 1 }, "<p>");
    expect(readdirSync(dir).sort()).toEqual([name, pageName].sort());
    expect(JSON.parse(readFileSync(join(dir, name), "utf8"))).toEqual({ version: 1 });
    expect(readFileSync(join(dir, pageName), "utf8")).toBe("<p>");
    expect(reportLine(join(dir, name))).toBe(`report: ${join(dir, pageName)}, and for programs ${name}`);
  });

  it.each(["web.html", "./web.json"])(
    "does not go where the output of its command goes: %s",
    async (output) => {
      await expect(placeForReport("web.json", true, output)).rejects.toThrow("is where the output goes");
      await placeForReport("web.json", true, "web.raw");
    },
  );
});
