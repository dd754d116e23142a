import { expect, it } from "vitest";
import { countOf } from "../../../src/util/count.ts";

it("says one in the singular, and none or many in the plural", () => {
  expect([0, 1, 2].map((count) => countOf(count, "user"))).toEqual(["0 users", "1 user", "2 users"]);
});
