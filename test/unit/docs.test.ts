import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("what docs/SECURITY.md promises is shown by tests that are there", () => {
  const named = readFileSync("docs/SECURITY.md", "utf8").match(/\btest\/[\w/-]+\.test\.ts/g) ?? [];
  expect(named.length).toBeGreaterThan(20);
  expect([...new Set(named)].filter((test) => !existsSync(test))).toEqual([]);
});
