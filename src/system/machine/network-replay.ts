import { isIPv6 } from "node:net";
import type { LinkReplay, NetworkReplay } from "../../schema/base/deploy.ts";
import type { Facts, LinkFacts, RouteFacts } from "../../schema/facts.ts";
import { lowersOf, whyNot } from "./link-stack.ts";

/** Of a default route by DHCP where the old system shows none. */
const anyMetric = 1024;

/** How the host is reached: its own address, and the link by which it answers, where that is known. */
export interface Reached {
  readonly address: string;
  readonly link?: string;
}

type NetworkFacts = Pick<Facts, "links" | "routes" | "dns" | "rules">;
type Routes = NonNullable<NetworkReplay["routes"]>;

/**
 * What must be set up in the base to be reached as the old system was: cards by MAC (kernel names may differ there), bonds
 * and the like above them, addresses, routes, rules and name servers; DHCP only on links whose IPv4 address came from it.
 * `problems` says what cannot be replayed and is needed; a deploy refuses when it is not empty. `left` is not needed.
 */
export function networkReplay(
  facts: NetworkFacts,
  reached: Reached = { address: "" },
): { replay: NetworkReplay; problems: string[]; left: string[] } {
  const { links, routes } = facts;
  const used = links.filter(
    (link) =>
      link.up &&
      link.kind !== "loopback" &&
      link.kind !== "dummy" &&
      (link.addresses.length > 0 || routes.some((route) => linksOf(route).includes(link.name))),
  );
  const able = used.filter((link) => whyNot(link.name, links) === undefined);
  const ordered = withLowers(able, links);
  const names = new Set(ordered.map(({ name }) => name));
  const kept = routes.filter((route) => linksOf(route).every((name) => names.has(name) || name === "lo"));
  const own = new Map(ordered.map((link) => [link.name, replayOf(link, kept, ordered)]));
  const loopback = addressesOfLoopback(links, kept, reached);
  // Where no link had a way out, DHCP may know one.
  const isLost = !kept.some((route) => isWayOut(route) && !isOf6(route));
  const replayed = ordered.map((link, index) => {
    const one = own.get(link.name)!;
    return isLost && one.dhcp4 ? { ...one, metric: anyMetric + index } : one;
  });
  const others = kept.filter((route) => !isOfLink(route, links));
  return {
    replay: {
      links: [...loopback, ...replayed],
      dns: facts.dns,
      ...(others.length === 0 ? {} : { routes: others.map(otherRoute) }),
      ...(facts.rules === undefined ? {} : { rules: facts.rules }),
    },
    problems: problemsOf(facts, able, ordered, kept, reached),
    left: used.flatMap(({ name }) => {
      const reason = whyNot(name, links);
      return reason === undefined ? [] : [`${name}, ${reason}`];
    }),
  };
}

/** Links after those that they are made of. */
function withLowers(able: readonly LinkFacts[], links: readonly LinkFacts[]): LinkFacts[] {
  const ordered: LinkFacts[] = [];
  const seen = new Set<LinkFacts>();
  const add = (link: LinkFacts) => {
    if (seen.has(link)) return;
    seen.add(link);
    for (const name of lowersOf(link)) {
      const lower = links.find((other) => other.name === name);
      if (lower !== undefined && whyNot(name, links) === undefined) add(lower);
    }
    ordered.push(link);
  };
  for (const link of able) add(link);
  // Cards first: the others wait for them.
  const isCard = ({ kind }: LinkFacts) => kind === undefined;
  return [...ordered.filter(isCard), ...ordered.filter((link) => !isCard(link))];
}

function replayOf(link: LinkFacts, routes: readonly RouteFacts[], all: readonly LinkFacts[]): LinkReplay {
  const ours = routes.filter((route) => route.link === link.name && isOfLink(route, all));
  const dhcp4 = link.addresses.some((other) => other.dynamic && !isV6(other.address));
  const byDhcp = (route: RouteFacts) => dhcp4 && !isOf6(route) && route.table === undefined;
  const given = (route: RouteFacts) => byDhcp(route) || (route.dynamic && isOf6(route));
  const addresses = (dynamic: boolean) =>
    link.addresses
      .filter((other) => other.dynamic === dynamic)
      .map(({ dynamic: _dynamic, ...address }) => address);
  const isTwin = all.some((other) => other !== link && other.kind === undefined && sameMac(other, link));
  const device = link.device === undefined ? undefined : withMembers(link.device, all);
  return {
    name: link.name,
    mac: link.mac.toLowerCase(),
    ...(link.kind === undefined && isTwin && link.path !== undefined ? { path: link.path } : {}),
    ...(link.address === undefined ? {} : { address: link.address }),
    ...(device === undefined ? {} : { device }),
    mtu: link.mtu,
    dhcp4,
    ...(link.acceptRa === undefined ? {} : { acceptRa: link.acceptRa }),
    addresses: addresses(false),
    routes: ours.filter((route) => !given(route)).map(ownRoute),
    given: { addresses: addresses(true), routes: ours.filter(given).map(ownRoute) },
    ...metricOf(ours.filter(byDhcp)),
  };
}

/** Guests of the host have their ends in its bridges; those are gone with it. */
function withMembers<D extends NonNullable<LinkFacts["device"]>>(device: D, all: readonly LinkFacts[]): D {
  if (device.kind === "vlan") return device;
  return { ...device, members: device.members.filter((name) => all.some((other) => other.name === name)) };
}

/** Addresses that no card has, as the only one of a server whose network is routed to it: as far as something needs them. */
function addressesOfLoopback(
  links: readonly LinkFacts[],
  routes: readonly RouteFacts[],
  { address }: Reached,
): LinkReplay[] {
  const own = links.filter(({ kind }) => kind === "loopback" || kind === "dummy");
  const needed = own
    .flatMap(({ addresses }) => addresses)
    .filter((one) => one.address === bare(address) || routes.some(({ src }) => src === one.address));
  const addresses = needed.map(({ dynamic: _dynamic, ...one }) => one);
  const [first] = own;
  if (addresses.length === 0 || first === undefined) return [];
  const nothing = { addresses: [], routes: [] };
  return [
    {
      ...{ name: "lo", mac: first.mac, device: { kind: "loopback" }, mtu: 65_536, dhcp4: false },
      ...{ addresses, routes: [], given: nothing },
    },
  ];
}

function problemsOf(
  { links, routes }: NetworkFacts,
  able: readonly LinkFacts[],
  ordered: readonly LinkFacts[],
  kept: readonly RouteFacts[],
  reached: Reached,
): string[] {
  if (links.length === 0)
    return ["no network card was seen at all: `ip`, of the package iproute2, is what shows them"];
  const problems: string[] = [];
  const lost = routes.find((route) => isWayOut(route) && !kept.includes(route));
  const unreached = unreachable(links, able, reached);
  if (lost !== undefined && !kept.some((route) => isWayOut(route)))
    problems.push(`the default route leaves by ${describe(lost.link, links)}, which the base cannot set up`);
  else if (able.length === 0) problems.push("no network card with a global address was found");
  else if (unreached !== undefined) problems.push(unreached);
  const cards = ordered.filter(({ kind }) => kind === undefined);
  for (const mac of new Set(cards.map((card) => card.mac.toLowerCase()))) {
    const twins = cards.filter((card) => card.mac.toLowerCase() === mac);
    const paths = new Set(twins.flatMap(({ path }) => path ?? []));
    if (paths.size < twins.length && twins.length > 1)
      problems.push(`two network cards answer to ${mac}, so they cannot be told apart`);
  }
  return problems;
}

/** Why the base would not answer at the address by which the old system is reached; undefined where it will. */
function unreachable(
  links: readonly LinkFacts[],
  able: readonly LinkFacts[],
  { address: reachedBy, link: by }: Reached,
): string | undefined {
  const address = bare(reachedBy);
  const isAble = (name: string) => able.some((link) => link.name === name);
  const holder = links.find(({ addresses }) => addresses.some((other) => other.address === address));
  const isNamed = address !== "" && !address.startsWith("fe80:");
  const isOnHost = holder?.kind === "loopback" || holder?.kind === "dummy";
  // The address is unknown, or one that each link makes for itself.
  if (isNamed && !isOnHost && (holder === undefined || !isAble(holder.name)))
    return `the host is reached by its address ${address}, which is on ${holder === undefined ? "no network card" : describe(holder.name, links)}: the base cannot set that up`;
  if (by === undefined || by === "lo" || isAble(by)) return undefined;
  return `the way back to you leaves by ${describe(by, links)}, which the base cannot set up`;
}

function describe(name: string, links: readonly LinkFacts[]): string {
  return `${name}, ${whyNot(name, links) ?? "which is down"}`;
}

function bare(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

function sameMac(one: LinkFacts, other: LinkFacts): boolean {
  return one.mac.toLowerCase() === other.mac.toLowerCase();
}

/** The default route's that DHCP had set: of several links the same one leads out in the base. */
function metricOf(routes: readonly RouteFacts[]): { metric?: number } {
  const found = routes.find((route) => isWayOut(route) && !isOf6(route));
  return found === undefined ? {} : { metric: found.metric ?? 0 };
}

function isWayOut({ to, refuses }: RouteFacts): boolean {
  return to === "default" && refuses === undefined;
}

function linksOf({ link, hops = [] }: RouteFacts): string[] {
  return hops.length === 0 ? [link] : hops.map((hop) => hop.link);
}

/** Whether nothing but its link has to be there before the route. */
function isOfLink({ hops, refuses, link, src }: RouteFacts, links: readonly LinkFacts[]): boolean {
  if (hops !== undefined || refuses !== undefined) return false;
  const own = links.find(({ name }) => name === link)?.addresses ?? [];
  return src === undefined || own.some(({ address }) => address === src);
}

function isOf6({ family, via, to }: RouteFacts): boolean {
  return family === undefined ? isV6(via ?? to) : family === 6;
}

function isV6(address: string): boolean {
  return isIPv6(address.split("/")[0]!);
}

function ownRoute({ dynamic: _dynamic, link: _link, ...route }: RouteFacts) {
  return route;
}

/** The links of one with several ways are in them. */
function otherRoute({ dynamic: _dynamic, link, ...route }: RouteFacts): Routes[number] {
  return route.hops === undefined && route.refuses === undefined ? { ...route, link } : route;
}
