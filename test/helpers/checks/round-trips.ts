import { expect } from "vitest";
import type { RoundTrip, Stack } from "../labs/network-round-trip.ts";

/** What the program printed, by the stacks' names. */
export function roundTripsIn(printed: string): ReadonlyMap<string, RoundTrip> {
  const lines = [...printed.matchAll(/^.*?round-trip (\{.*\})\s*$/gm)].map(
    ([, json]) => JSON.parse(json!) as RoundTrip,
  );
  return new Map(lines.map((one) => [one.name, one]));
}

/** Sees that the network is after the replay what it was before. */
export function expectSame(stack: Stack, trips: ReadonlyMap<string, RoundTrip>): void {
  const trip = trips.get(stack.name);
  if (trip === undefined) throw new Error(`nothing was printed of ${stack.name}`);
  const { problems, before, after, shown, plain, said } = trip;
  expect(problems).toEqual([]);
  expect(before.links.length, said).toBeGreaterThan(0);
  expect(before.routes.length + before.links.flatMap(({ addresses }) => addresses).length).toBeGreaterThan(0);
  const isLeased = stack.isLeased === true;
  expect(facts(after, isLeased), said).toEqual(facts(before, isLeased));
  if (!isLeased) expect(shown.after, said).toEqual(shown.before);
  if (!isLeased && stack.isRich !== true)
    expect(typeof plain === "string" ? plain : facts(plain, false)).toEqual(facts(before, false));
}

/** In one order, without guests of bridges; of what is leased, without who said it. */
function facts({ links, routes, rules = [] }: RoundTrip["before"], isLeased: boolean): unknown {
  const text = JSON.stringify([
    ...links.map((link) =>
      link.device !== undefined && link.device.kind !== "vlan"
        ? { ...link, device: withoutGuests(link.device) }
        : link,
    ),
    ...routes.map((route) => (isLeased ? { ...route, onLink: false } : route)),
    ...rules,
  ]);
  const all = JSON.parse(isLeased ? text.replaceAll('"dynamic":true', '"dynamic":false') : text) as object[];
  return all.map((one) => JSON.stringify(Object.entries(one).sort())).sort();
}

function withoutGuests<D extends { readonly members: readonly string[] }>(device: D): D {
  return { ...device, members: device.members.filter((name) => !name.startsWith("x")).sort() };
}
