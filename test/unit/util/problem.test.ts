import { describe, expect, it } from "vitest";
import { nearest, notAmong } from "../../../src/util/problem.ts";

describe("nearest", () => {
  it.each([
    ["Hostname", "hostname"],
    ["user", "users"],
    ["helth", "health"],
    ["zzz", undefined],
    ["", undefined],
  ])("of %j is %j", (name, meant) => {
    expect(nearest(name, ["hostname", "users", "health", "boot"])).toBe(meant);
  });
});

describe("notAmong", () => {
  it.each([
    ["vautl", ["vault"], "`vautl` is not in secrets; did you mean `vault`"],
    ["zzz", ["vault", "spare"], "`zzz` is not in secrets; accepted are vault, spare"],
    ["zzz", [], "`zzz` needs an entry of that name in secrets, which has none"],
  ])("of %j among %j says what is accepted", (name, known, message) => {
    expect(notAmong(name, known, "secrets")).toBe(message);
  });
});
