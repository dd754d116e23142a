import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const faults = Array.from({ length: 50 }, (_, index) => `F${String(index + 1).padStart(2, "0")}`);

/** Faults that a name of a test, a describe or a matrix case carries; comments do not count. */
const named = new Set(
  [
    ...readdirSync("test", { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts") && name !== "faults.test.ts")
      .map((name) => join("test", name)),
    "scripts/matrix.ts",
  ].flatMap(
    (file) =>
      readFileSync(file, "utf8")
        .replaceAll(/^\s*(\/\/|\/?\*).*$/gm, "")
        .match(/\bF\d\d\b/g) ?? [],
  ),
);

/** Rows of the table of what is not shown: a number, or several, and why. */
function missing(): Map<string, string> {
  const text = readFileSync("docs/RELIABILITY.md", "utf8");
  const section = /^## Not shown yet\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  const rows = [...section.matchAll(/^\| (F[^:|]*): ([^|]+) \| ([^|]+) \|$/gm)];
  return new Map(rows.flatMap(([, numbers, , why]) => expanded(numbers!).map((one) => [one, why!] as const)));
}

/** "F44-F47", "F49, F50". */
function expanded(numbers: string): string[] {
  return numbers.split(", ").flatMap((part) => {
    const [from, to = from] = part.split("-").map((one) => faults.indexOf(one));
    return faults.slice(from, to! + 1);
  });
}

describe("the list of faults", () => {
  it.each(faults)(
    "%s is in the name of a test or a case, or docs/RELIABILITY.md says what is missing",
    (fault) => {
      const why = missing().get(fault);
      expect(named.has(fault) || why !== undefined).toBe(true);
      if (why !== undefined) expect(why.length).toBeGreaterThan(30);
      // What is shown in no test cannot be shown in part.
      if (!named.has(fault)) expect(why).not.toMatch(/^in part/);
    },
  );

  it("has no numbers beyond it", () => {
    expect([...named].filter((one) => !faults.includes(one))).toEqual([]);
  });
});
