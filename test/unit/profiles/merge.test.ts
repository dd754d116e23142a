import { expect, it } from "vitest";
import { merge, override, type Part } from "../../../src/profiles/merge.ts";

const one: Part = { packages: { install: ["a", "b"] }, sysctl: { "vm.swappiness": 1 } };

it("joins lists in their order, each entry once, and objects key by key", () => {
  const other: Part = {
    packages: { install: ["c", "a"] },
    sysctl: { "vm.max_map_count": 2 },
    timezone: "UTC",
  };
  expect(merge(one, other)).toEqual({
    packages: { install: ["a", "b", "c"] },
    sysctl: { "vm.swappiness": 1, "vm.max_map_count": 2 },
    timezone: "UTC",
  });
  const check = { type: "port" as const, port: 80 };
  const same = { port: 80, type: "port" as const };
  expect(merge({ health: [check] }, { health: [same, { ...check, port: 81 }] }).health).toEqual([
    check,
    { ...check, port: 81 },
  ]);
});

it("keeps an entry that a part itself has twice, and what is undefined out", () => {
  expect(merge({ tmpfiles: ["d /a", "d /a"] }, { locale: "C.UTF-8" })).toEqual({
    tmpfiles: ["d /a", "d /a"],
    locale: "C.UTF-8",
  });
  const none = { hostname: undefined } as unknown as Part;
  expect(merge({ hostname: "a" }, none)).toEqual({ hostname: "a" });
});

it("takes the same value of several parts, and names the field of two different ones", () => {
  expect(merge({ timezone: "UTC" }, { timezone: "UTC" })).toEqual({ timezone: "UTC" });
  expect(() => merge(one, { sysctl: { "vm.swappiness": 10 } })).toThrow(
    'sysctl["vm.swappiness"] is 1 in one part and 10 in a later one; say it once, or `override(10)` in the later one',
  );
  expect(() => merge({ firewall: "table inet f {}" }, { firewall: { tcp: [22] } })).toThrow(
    /^firewall is "table inet f \{\}" in one part and \{"tcp":\[22\]\} in a later one/,
  );
  expect(() => merge({ users: { a: { sudo: true } } }, { users: { a: { sudo: false } } })).toThrow(
    /^users\.a\.sudo is true/,
  );
});

it("lets override decide, for a value, a list or an object, and joins later parts to it", () => {
  expect(merge(one, { sysctl: { "vm.swappiness": override(10) } }).sysctl).toEqual({ "vm.swappiness": 10 });
  expect(merge(one, { packages: { install: override(["z"]) } }, { packages: { install: ["y"] } })).toEqual({
    packages: { install: ["z", "y"] },
    sysctl: { "vm.swappiness": 1 },
  });
  expect(merge(one, { sysctl: override({}) }).sysctl).toEqual({});
  expect(merge(one, { packages: { install: [override("a"), "c"] } }).packages).toEqual({
    install: ["a", "b", "c"],
  });
  // It decides for what came before, not for what comes after.
  expect(() => merge({ timezone: override("UTC") }, { timezone: "Europe/Berlin" })).toThrow(/^timezone is/);
});

it("gives plain data, and changes nothing of what it is given", () => {
  const deep = { users: override({ a: { groups: override(["adm"]) } }) };
  const before = structuredClone(one);
  const merged = merge(one, deep, merge(one, { hostname: "a" }));
  expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
  expect(Object.getPrototypeOf(merged.users)).toBe(Object.prototype);
  expect(one).toEqual(before);
});
