import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parsePlainYaml } from "../../../../src/debian/lock/plain-yaml.ts";

describe("parsePlainYaml", () => {
  it.each(["imgbuild/web", "initramfs"])("reads the lock of %s as a reader of all YAML does", (dir) => {
    const text = readFileSync(`${dir}/imgbuild.lock.yaml`, "utf8");
    const read = parsePlainYaml(text);
    expect(read).toBeDefined();
    expect(read).toEqual(parse(text));
  });

  it("reads what is in its part of YAML, and nothing otherwise than YAML has it", () => {
    const scalars = [
      ...[
        "word",
        "two words",
        "1:2.3-4",
        "3.1-2",
        "1.10",
        "10",
        "0",
        "010",
        "1e5",
        "1e",
        "5e04a1",
        "0x1f",
        "1_000",
      ],
      ...[
        "true",
        "no",
        "Null",
        "~",
        "-",
        "a: b",
        "a #b",
        "a:",
        '"quoted: x"',
        '"esc\\"aped"',
        "'single'",
        "12:30",
      ],
      ...[
        "[a, b]",
        "[]",
        "[a,b]",
        "[1, two]",
        "{a: b}",
        "| x",
        "&x y",
        "*x",
        "!x",
        "2026-01-02T03:04:05.000Z",
      ],
      ...["-1", "+1", ".5", ".inf", "a\tb", "a  b", "a ", "%x", "@x", "`x`", "a,b", "<<", "y", "é"],
    ];
    let read = 0;
    for (const scalar of scalars)
      for (const text of [
        `key: ${scalar}\n`,
        `key:\n  - ${scalar}\n`,
        `key:\n  - a: ${scalar}\n    b: 1\n`,
      ]) {
        const found = parsePlainYaml(text);
        if (found === undefined) continue;
        read += 1;
        expect(found, text).toEqual(parse(text));
      }
    expect(read).toBeGreaterThan(20);
  });

  it.each([
    ["a key that comes twice", "a: 1\na: 2\n"],
    ["another indentation", "a:\n   b: 1\n"],
    ["a list without indentation", "a:\n- b\n"],
    ["a key without a value", "a:\nb: 1\n"],
    ["a continued line", "a: b\n  c\n"],
    ["a document's end", "a: 1\n...\n"],
    ["a prototype", "__proto__:\n  x: 1\n"],
    ["a comment further in", "a:\n  # why\n  b: 1\n"],
    ["nothing", ""],
  ])("leaves %s to others", (_what, text) => {
    expect(parsePlainYaml(text)).toBeUndefined();
  });
});
