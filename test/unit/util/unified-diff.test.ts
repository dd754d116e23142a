import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/system/run/run.ts";
import { applyDiff, DiffProblem, parseDiff } from "../../../src/util/unified-diff.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const apply = (content: string, diff: string) => {
  const [file] = parseDiff(diff);
  return applyDiff(Buffer.from(content), file!).toString("utf8");
};
const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join("");
const head = "--- a/etc/x\n+++ b/etc/x\n";

describe("a unified diff", () => {
  it.each<[string, (text: string) => string]>([
    ["changed in the middle", (text) => text.replace("line 15", "fifteen")],
    ["changed at both ends", (text) => text.replace("line 1\n", "one\n").replace("line 30\n", "thirty\n")],
    ["longer", (text) => `new\n${text}new\n`],
    ["shorter", (text) => text.replace("line 7\nline 8\n", "").replace("line 30\n", "")],
    ["emptied", () => ""],
    ["without a last end of line", (text) => text.trimEnd()],
    ["of other characters", (text) => text.replace("line 3", "Zeile drei: größer")],
  ])("as diff makes it of a file that is %s gives that file", async (_what, change) => {
    const dir = tempDir();
    const old = numbered(30);
    for (const [one, other] of [
      [old, change(old)],
      [change(old), old],
    ] as const) {
      writeFileSync(join(dir, "a"), one);
      writeFileSync(join(dir, "b"), other);
      const argv = ["diff", "-u", "--label", "a/etc/x", "--label", "b/etc/x", "a", "b"];
      const { stdout } = await run(argv, { cwd: dir, accept: [1] });
      expect(apply(one, stdout)).toBe(other);
    }
  });

  it("keeps bytes that are no UTF-8", () => {
    const content = Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a]);
    const [file] = parseDiff(`${head}@@ -2 +2 @@\n-b\n+c\n`);
    expect([...applyDiff(content, file!)]).toEqual([0x61, 0xff, 0x0a, 0x63, 0x0a]);
  });

  it("of several files names each, and passes over what a mail or git puts around it", () => {
    const diff = `From: me\nSubject: x\n\n---\n etc/x | 2 +-\n\ndiff --git a/etc/x b/etc/x\nindex 1..2 100644\n${head}@@ -1 +1 @@ fn\n-a\n+b\ndiff -u\n--- etc.orig/y\t2025-01-01\n+++ etc/y\t2025-01-02\n@@ -0,0 +1 @@\n+a\n-- \n2.39\n`;
    expect(parseDiff(diff).map(({ path, hunks }) => [path, hunks.length])).toEqual([
      ["/etc/x", 1],
      ["/y", 1],
    ]);
  });

  it.each<[string, string, string]>([
    [
      "at another place",
      `${head}@@ -2,2 +2,2 @@\n line 3\n-line 4\n+four\n`,
      '/etc/x, hunk 1 (@@ -2,2 +2,2 @@): line 2 is "line 2", the patch expects "line 3"',
    ],
    [
      "with other context",
      `${head}@@ -1 +1 @@\n-line 1\n+one\n@@ -3,2 +3,2 @@\n line three\n-line 4\n+four\n`,
      '/etc/x, hunk 2 (@@ -3,2 +3,2 @@): line 3 is "line 3", the patch expects "line three"',
    ],
    [
      "with other white space",
      `${head}@@ -1 +1 @@\n-line  1\n+one\n`,
      '/etc/x, hunk 1 (@@ -1 +1 @@): line 1 is "line 1", the patch expects "line  1"',
    ],
    [
      "behind the end",
      `${head}@@ -5,2 +5,1 @@\n line 5\n-line 6\n`,
      '/etc/x, hunk 1 (@@ -5,2 +5,1 @@): the file ends before line 6, the patch expects "line 6"',
    ],
    [
      "with another end of the file",
      `${head}@@ -5 +5 @@\n-line 5\n\\ No newline at end of file\n+five\n`,
      '/etc/x, hunk 1 (@@ -5 +5 @@): line 5 is "line 5", the patch expects "line 5" without an end of line',
    ],
    [
      "that was applied before",
      `${head}@@ -1 +1 @@\n-one\n+line 1\n`,
      '/etc/x, hunk 1 (@@ -1 +1 @@): line 1 is "line 1", the patch expects "one"',
    ],
  ])("%s does not apply", (_what, diff, message) => {
    expect(() => apply(numbered(5), diff)).toThrow(new DiffProblem(message));
  });

  it.each<[string, RegExp]>([
    ["", /no unified diff/],
    ["just words\n", /no unified diff/],
    ["--- a/x\n+++ b/x\n", /\/x has no hunks/],
    [`${head}@@ bad @@\n`, /line 3: @@ bad @@ is no hunk's header/],
    [`${head}@@ -1,2 +1,2 @@\n-a\n+b\n`, /ends too early/],
    [`${head}@@ -1 +1 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n`, /begins before the end/],
    [`${head}@@ -1 +1 @@\n-a\n+b\n${head}@@ -1 +1 @@\n-a\n+b\n`, /\/etc\/x comes twice/],
    ["@@ -1 +1 @@\n-a\n+b\n", /a hunk of no file/],
    [`--- a/../x\n+++ b/../../etc/x\n@@ -1 +1 @@\n-a\n+b\n`, /no path of the form/],
    [`--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n`, /no path of the form/],
    ["--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n", /it makes a file/],
    ["--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", /it deletes a file/],
    ["diff --git a/x b/y\nrename from x\nrename to y\n", /it renames/],
    ["diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", /changes a file's mode/],
    ["diff --git a/x b/x\nGIT binary patch\n", /no text/],
  ])("%j is refused", (diff, message) => {
    expect(() => parseDiff(diff)).toThrow(message);
  });
});
