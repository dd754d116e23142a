import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { shellLine, shellWord } from "../../../src/util/shell-word.ts";

const words = [
  ...[
    "",
    " ",
    "a b",
    "'",
    "''",
    "it's",
    '"',
    "\\",
    "\\'",
    "$HOME",
    "$(id)",
    "`id`",
    "*",
    "?",
    "[a]",
    "~",
    "~root",
    "!x",
    "!!",
  ],
  ...[
    "#",
    "a#b",
    ";",
    "&",
    "|",
    "<",
    ">",
    "(",
    ")",
    "{a,b}",
    "a=b",
    "=ls",
    "-n",
    "--",
    "if",
    "\n",
    "a\nb",
    "\t",
    "\r",
    "é",
    "\u{1f511}",
  ],
  ...["\x01", "%s", "^", "x\\", "$'a'"],
];
const shells = ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/busybox", "/bin/zsh"].filter((path) =>
  existsSync(path),
);

describe("a quoted argv", () => {
  for (const shell of shells)
    it(`is the same argv after ${shell}`, () => {
      const before = shell.endsWith("busybox") ? ["sh"] : [];
      const line = shellLine(["printf", "%s\\0", ...words]);
      const out = execFileSync(shell, [...before, "-c", line], { encoding: "utf8" });
      expect(out.split("\0").slice(0, -1)).toEqual(words);
    });

  it("begins with a program, never with an assignment, a keyword or an alias", () => {
    for (const first of ["a=b", "if", "while", "{", "!"]) {
      const line = `${shellLine([first, "x"])} 2>/dev/null; echo $?`;
      expect(execFileSync("/bin/sh", ["-c", line], { encoding: "utf8" }).trim(), first).toBe("127");
    }
  });

  it("holds neither NUL nor nothing", () => {
    expect(() => shellWord("a\0b")).toThrow(/NUL/);
    expect(() => shellLine([])).toThrow(/empty/);
  });
});
