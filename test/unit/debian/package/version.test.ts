import { describe, expect, it } from "vitest";
import { compareVersions, satisfies } from "../../../../src/debian/package/version.ts";

// Ascending, and equal within a row; what `dpkg --compare-versions` (1.21) says of each pair.
const ascending: readonly (readonly string[])[] = [
  ["0~~"],
  ["0~"],
  ["0", "00", "0-0", "0:0"],
  ["0+"],
  ["1~~"],
  ["1~~a"],
  ["1~"],
  ["1~rc1", "1~rc01"],
  ["1~rc2"],
  ["1", "1-0", "0:1"],
  ["1-0.1"],
  ["1-1~deb12u1"],
  ["1-1", "01-01"],
  ["1-1+b1"],
  ["1-1.1"],
  ["1-10"],
  ["1a"],
  ["1+dfsg-1"],
  ["1-2-1"],
  ["1.0"],
  ["1.0a"],
  ["1.0+git20240101"],
  ["1.0.0"],
  ["1.9"],
  ["1.10"],
  ["1.99999999999999999999999999999998"],
  ["1.99999999999999999999999999999999"],
  ["1:0~"],
  ["1:0.9-1"],
  ["2:0"],
  ["10:0"],
];

describe("compareVersions", () => {
  it("orders every pair as dpkg does", () => {
    for (const [i, left] of ascending.entries())
      for (const [j, right] of ascending.entries())
        for (const a of left)
          for (const b of right)
            expect(Math.sign(compareVersions(a, b)), `${a} and ${b}`).toBe(Math.sign(i - j));
  });
});

describe("satisfies", () => {
  it.each([
    ["1.0", "<<", "1.0", false],
    ["1.0~rc1", "<<", "1.0", true],
    ["1.0", "<=", "1.0", true],
    ["1.0", "=", "1.0-0", true],
    ["1.0", "=", "1.0-1", false],
    ["1.0-1", ">=", "1.0", true],
    ["1:0", ">>", "99", true],
    ["1.0", ">>", "1.0", false],
    // The deprecated spellings mean "or equal" (Debian Policy 7.1).
    ["1.0", "<", "1.0", true],
    ["1.0", ">", "1.0", true],
  ])("says of %s %s %s: %s", (version, relation, wanted, answer) => {
    expect(satisfies(version, relation, wanted)).toBe(answer);
  });
});
