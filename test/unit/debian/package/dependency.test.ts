import { describe, expect, it } from "vitest";
import { parseDependencies, showDependency } from "../../../../src/debian/package/dependency.ts";

describe("parseDependencies", () => {
  it("reads names, alternatives, versions and architecture qualifiers", () => {
    expect(parseDependencies("libc6 (>= 2.36), awk | mawk (<< 2~), python3:any, g++(=4:12)")).toEqual([
      [{ name: "libc6", relation: ">=", version: "2.36" }],
      [{ name: "awk" }, { name: "mawk", relation: "<<", version: "2~" }],
      [{ name: "python3", arch: "any" }],
      [{ name: "g++", relation: "=", version: "4:12" }],
    ]);
  });

  it.each([undefined, "", "  ", ", ,"])("reads nothing from %j", (field) => {
    expect(parseDependencies(field)).toEqual([]);
  });

  it.each(["A", "a (>= )", "a (~ 1)", "a b", "a |", "| a", "a (>= 1", "../a", "a [amd64]"])(
    "refuses %j",
    (field) => {
      expect(() => parseDependencies(field)).toThrow(/is not a dependency/);
    },
  );
});

describe("showDependency", () => {
  it("writes what was read", () => {
    const text = "a (>= 1) | b:any | c (<< 2:3~)";
    expect(showDependency(parseDependencies(text)[0]!)).toBe(text);
  });
});
