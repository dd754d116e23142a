import { describe, expect, it } from "vitest";
import { junit } from "../../../src/testing/verdict.ts";

const passed = { check: "it boots", ok: true, seconds: 12.5, detail: "passed" };
const failed = { check: 'port <80> & "more"', ok: false, seconds: 1, detail: "line one\nline two\x1b[0m" };

describe("junit", () => {
  it("makes a suite of each firmware, with a failure's words", () => {
    const text = junit("web", [
      {
        firmware: "bios",
        results: [passed, failed],
        ok: false,
        seconds: 14,
        evidence: [{ of: "it boots", directory: "/tmp/x" }],
      },
      { firmware: "uefi", results: [passed], ok: true, seconds: 13, evidence: [] },
    ]);
    expect(text).toContain('<testsuite name="web bios" tests="2" failures="1" time="14">');
    expect(text).toContain('<testcase classname="web.uefi" name="it boots" time="12.5"/>');
    expect(text).toContain('name="port &lt;80&gt; &amp; &quot;more&quot;"');
    expect(text).toContain('<failure message="line one">line one&#10;line two[0m</failure>');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 has no place for
    expect(text).not.toMatch(/[\0-\x08\x0b-\x1f\x7f]/);
  });
});
