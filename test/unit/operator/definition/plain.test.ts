import { describe, expect, it } from "vitest";
import { plainLimits, plainProblem } from "../../../../src/operator/definition/plain.ts";

describe("plainProblem", () => {
  it("finds none in plain data", () => {
    const shared = { a: 1 };
    const data = { text: "a", list: [1, null, true, [shared, shared]], inner: { b: undefined }, none: null };
    expect(plainProblem(data)).toBeUndefined();
    expect(plainProblem(Object.assign(Object.create(null), { a: 1 }))).toBeUndefined();
  });

  const cycle: Record<string, unknown> = { a: {} };
  (cycle.a as Record<string, unknown>).b = cycle;
  let deep: unknown = 1;
  for (let i = 0; i < 60; i++) deep = [deep];

  it.each<[string, unknown, (string | number)[], RegExp]>([
    ["a function", { a: () => 1 }, ["a"], /function/],
    ["a Date", { a: [new Date()] }, ["a", 0], /is a Date; needs plain data/],
    ["a Map", { a: new Map() }, ["a"], /is a Map/],
    ["a promise", { a: Promise.resolve(1) }, ["a"], /is a Promise/],
    ["NaN", { a: Number.NaN }, ["a"], /is NaN; needs a finite number/],
    ["a bigint", { a: 1n }, ["a"], /bigint/],
    ["a cycle", cycle, ["a", "b"], /contains itself/],
    [
      "a getter",
      {
        get a() {
          return 1;
        },
      },
      ["a"],
      /getter/,
    ],
    ["a symbol as a key", { [Symbol("x")]: 1 }, [], /symbol as a key/],
    [
      "__proto__ as a key",
      JSON.parse('{"a":{"__proto__":{"x":1}}}'),
      ["a", "__proto__"],
      /not accepted as a key/,
    ],
    ["constructor as a key", { constructor: 1 }, ["constructor"], /not accepted as a key/],
    ["a prototype of its own", { a: Object.create({ x: 1 }) }, ["a"], /prototype of its own/],
    ["holes", { a: Object.assign(new Array(3), [1]) }, ["a"], /holes/],
    ["undefined in a list", { a: [1, undefined] }, ["a", 1], /undefined/],
    ["a key on a list", { a: Object.assign([1], { x: 1 }) }, ["a"], /key `x`/],
    [
      "too many values",
      Array.from({ length: plainLimits.values + 1 }, () => 0),
      [plainLimits.values - 1],
      /more than/,
    ],
  ])("finds %s", (_name, value, path, message) => {
    const problem = plainProblem(value);
    expect(problem?.message).toMatch(message);
    expect(problem?.path).toEqual(path);
  });

  it("finds nesting without an end", () => {
    expect(plainProblem(deep)?.message).toMatch(/nested more than 50 levels/);
  });
});
