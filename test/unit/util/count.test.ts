import { describe, expect, it } from "vitest";
import { countOf, seconds } from "../../../src/util/count.ts";

it("says one in the singular, and none or many in the plural", () => {
  expect([0, 1, 2].map((count) => countOf(count, "user"))).toEqual(["0 users", "1 user", "2 users"]);
});

describe("seconds", () => {
  it.each([
    [0, "0.0 s"],
    [440, "0.4 s"],
    [9_940, "9.9 s"],
    [9_960, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 min 0 s"],
    [119_700, "2 min 0 s"],
    [185_000, "3 min 5 s"],
  ])("shows %d ms as %s", (ms, text) => {
    expect(seconds(ms)).toBe(text);
  });
});
