import { describe, expect, it } from "vitest";
import {
  countIds,
  mapIds,
  mapsName,
  mapWords,
  outsideOf,
  parseIdMap,
  subordinateIds,
} from "../../../../src/system/user/id-maps.ts";

const alice = { name: "alice", id: 1000 };

describe("subordinateIds", () => {
  it("takes the user's lines by name and by number, in their order", () => {
    const text = "bob:100000:65536\nalice:165536:65536\n1000:400000:10\n1001:500000:10\n";
    expect(subordinateIds(text, alice)).toEqual([
      { start: 165_536, count: 65_536 },
      { start: 400_000, count: 10 },
    ]);
  });

  it("passes over what is no range, as newuidmap does", () => {
    const lines = [
      "alice",
      "alice:1",
      "alice:x:1",
      "alice:-1:5",
      "alice:5:0",
      "# alice:1:1",
      "alice:1:2:3",
      "",
    ];
    expect(subordinateIds(lines.join("\n"), alice)).toEqual([]);
    expect(subordinateIds("  alice:7:3  \n", alice)).toEqual([{ start: 7, count: 3 }]);
    expect(subordinateIds("alicex:7:3\nxalice:7:3\n10001:7:3\n", alice)).toEqual([]);
  });
});

describe("mapIds", () => {
  it("makes the user root and gives out the subordinate ids from 1, as many as are wanted", () => {
    const map = mapIds(1000, [
      { start: 100_000, count: 5 },
      { start: 200_000, count: 100_000 },
    ]);
    expect(map).toEqual([
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 100_000, count: 5 },
      { inside: 6, outside: 200_000, count: 65_530 },
    ]);
    expect(countIds(map)).toBe(65_536);
    expect(mapWords(map)).toEqual(["0", "1000", "1", "1", "100000", "5", "6", "200000", "65530"]);
  });

  it("leaves out what would map an id twice", () => {
    const map = mapIds(1000, [
      { start: 900, count: 200 },
      { start: 100_000, count: 10 },
      { start: 100_000, count: 10 },
      { start: 100_009, count: 2 },
      { start: 100_010, count: 1 },
    ]);
    expect(map.map(({ outside, count }) => [outside, count])).toEqual([
      [1000, 1],
      [100_000, 10],
      [100_010, 1],
    ]);
  });

  it("maps the user alone where there is nothing else", () => {
    expect(mapIds(7, [])).toEqual([{ inside: 0, outside: 7, count: 1 }]);
  });
});

describe("outsideOf", () => {
  it("tells who somebody inside is outside, and who is nobody there", () => {
    const map = mapIds(1000, [{ start: 100_000, count: 10 }]);
    expect([0, 1, 10, 11].map((id) => outsideOf(map, id))).toEqual([1000, 100_000, 100_009, undefined]);
    expect(outsideOf(parseIdMap("0 0 4294967295\n"), 33)).toBe(33);
  });
});

describe("the name of maps", () => {
  const whole = parseIdMap("         0          0 4294967295\n");
  const mapped = parseIdMap("         0       1001          1\n         1     100000      65535\n");

  it("is none for root of a machine, whose cache is as it has always been", () => {
    expect(mapsName({ uids: whole, gids: whole })).toBeUndefined();
  });

  it("is the same inside of the namespace, by the kernel's words, and outside, by what will be mapped", () => {
    const outside = mapIds(1001, [{ start: 100_000, count: 65_536 }]);
    expect(mapped).toEqual(outside);
    expect(mapsName({ uids: mapped, gids: mapped })).toBe(mapsName({ uids: outside, gids: outside }));
  });

  it("differs where any owner of a tree would differ", () => {
    const other = mapIds(1001, [{ start: 100_001, count: 65_536 }]);
    const names = [
      { uids: mapped, gids: mapped },
      { uids: other, gids: mapped },
      { uids: mapped, gids: other },
      { uids: whole, gids: mapped },
      { uids: [{ inside: 0, outside: 0, count: 1 }], gids: whole },
    ].map(mapsName);
    expect(names.every((name) => /^[0-9a-f]{12}$/.test(name ?? ""))).toBe(true);
    expect(new Set(names).size).toBe(5);
  });
});
