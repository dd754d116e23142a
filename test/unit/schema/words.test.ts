import { describe, expect, it } from "vitest";
import { Size } from "../../../src/schema/words.ts";

describe("Size", () => {
  it.each([
    ["1MiB", 2 ** 20],
    ["2048KiB", 2 ** 21],
    ["20GiB", 20 * 2 ** 30],
    ["1TiB", 2 ** 40],
    [3 * 2 ** 20, 3 * 2 ** 20],
  ])("reads %j as %d bytes", (input, bytes) => {
    expect(Size.parse(input)).toBe(bytes);
  });

  it.each([
    "0MiB",
    "-1MiB",
    "1.5GiB",
    "1GB",
    "1 GiB",
    "1gib",
    "",
    "MiB",
    "1KiB",
    "99999999999TiB",
    "9999999999TiB",
  ])("refuses %j", (input) => {
    expect(Size.safeParse(input).success).toBe(false);
  });

  it.each([0, -(2 ** 20), 1.5, 2 ** 20 + 1, 2 ** 60, Number.NaN, Number.POSITIVE_INFINITY, null, true, [1]])(
    "refuses %j",
    (input) => {
      expect(Size.safeParse(input).success).toBe(false);
    },
  );
});
