import { isIPv6 } from "node:net";
import type { LinkReplay, NetworkReplay } from "../../schema/base/deploy.ts";
import type { RuleFacts } from "../../schema/facts.ts";

type Device = Exclude<NonNullable<LinkReplay["device"]>, { kind: "loopback" }>;
type Route = NonNullable<NetworkReplay["routes"]>[number];
/** The name in the base of a link of the old system. */
type NameOf = (old: string) => string;

/** The name that a made link gets: its own, unless a card of the base has that. */
export function nameOfMade(own: string, taken: readonly string[]): string {
  if (!taken.includes(own)) return own;
  for (let number = 0; ; number += 1) if (!taken.includes(`made${number}`)) return `made${number}`;
}

/** The command that makes a link, without its members. */
export function makeCommand(device: Device, name: string, mac: string, lower: NameOf): string[] {
  const add = (...more: string[]) => ["ip", "link", "add", ...more];
  const own = mac === "" ? [] : ["address", mac];
  switch (device.kind) {
    case "vlan":
      return [
        ...add("link", lower(device.link), "name", name, ...own),
        ...["type", "vlan", "protocol", device.protocol ?? "802.1Q", "id", String(device.id)],
      ];
    case "bond": {
      // A primary link has to be a member first.
      const options = Object.entries(device.options).filter(([key]) => key !== "primary");
      return [...add("name", name, ...own, "type", "bond"), ...options.flat()];
    }
    case "bridge":
      return [
        ...add("name", name, ...own, "type", "bridge", "stp_state", device.stp ? "1" : "0"),
        ...(device.forwardDelay === undefined ? [] : ["forward_delay", String(device.forwardDelay)]),
        ...(device.priority === undefined ? [] : ["priority", String(device.priority)]),
      ];
  }
}

/** The commands by which a link becomes a part of another; a bond takes none that is up, and gives it its own MTU. */
export function joinCommands(
  device: Device,
  upper: string,
  [old, name]: readonly [string, string],
): string[][] {
  const join = ["ip", "link", "set", "dev", name, "master", upper];
  if (device.kind !== "bond") return [join, ["ip", "link", "set", "dev", name, "up"]];
  const primary = ["ip", "link", "set", "dev", upper, "type", "bond", "primary", name];
  return [
    ["ip", "link", "set", "dev", name, "down"],
    join,
    ...(device.options.primary === old ? [primary] : []),
  ];
}

/** The command that brings a link up; `name` is the link's name in the base. */
export function upCommand(link: LinkReplay, name: string): string[] {
  return ["ip", "link", "set", "dev", name, "mtu", String(link.mtu), "up"];
}

/** The commands, for `ip` in the base, that give a link its addresses and routes; after DHCP was asked, which clears the link first. */
export function linkCommands(link: LinkReplay, name: string, dhcpAnswered: boolean): string[][] {
  const isOf4 = (route: Route) => !isOf6(route);
  // A route that DHCP had given leads out again where no server answers any more.
  const given = dhcpAnswered ? [] : link.given.routes.filter(isOf4);
  return [
    ...[...link.addresses, ...link.given.addresses].map((address) => addressCommand(address, name)),
    // Link routes first: a gateway outside the prefix is reached through one of them.
    ...nearFirst([...link.routes, ...given]).map((route) => routeCommand("replace", route, name)),
  ];
}

/** Those of the old system's routes that neither DHCP nor an advertisement has brought; each fails where it was brought. */
export function missingCommands(link: LinkReplay, name: string, family: 4 | 6): string[][] {
  const ours = link.given.routes.filter((route) => isOf6(route) === (family === 6));
  return nearFirst(ours).map((route) => routeCommand("add", route, name));
}

type Address = LinkReplay["addresses"][number];

function addressCommand({ address, prefix, peer, metric, noPrefixRoute }: Address, name: string): string[] {
  return [
    ...[
      "ip",
      "address",
      "replace",
      ...(peer === undefined ? [`${address}/${prefix}`] : [address, "peer", `${peer}/${prefix}`]),
    ],
    ...["dev", name],
    ...(metric === undefined ? [] : ["metric", String(metric)]),
    ...(isIPv6(address) ? ["nodad"] : []),
    ...(noPrefixRoute === true ? ["noprefixroute"] : []),
  ];
}

function nearFirst<R extends Route>(routes: readonly R[]): R[] {
  return [...routes].sort((a, b) => Number(a.via !== undefined) - Number(b.via !== undefined));
}

/** Of a route that is not one link's own. */
export function otherRouteCommand(route: Route, nameOf: NameOf): string[] {
  return routeCommand("replace", route, route.link === undefined ? undefined : nameOf(route.link), nameOf);
}

function routeCommand(
  verb: "add" | "replace",
  route: Route,
  name: string | undefined,
  nameOf: NameOf = (same) => same,
): string[] {
  const { to, via, onLink, metric, table, src, scope, mtu, refuses, hops = [] } = route;
  const is6 = isOf6(route);
  // In an IPv4 route a gateway of the other family is named with it.
  const by = (gateway: string | undefined) =>
    gateway === undefined ? [] : ["via", ...(isIPv6(gateway) && !is6 ? ["inet6"] : []), gateway];
  return [
    ...["ip", ...(is6 ? ["-6"] : []), "route", verb, ...(refuses === undefined ? [] : [refuses]), to],
    ...by(via),
    ...(name === undefined ? [] : ["dev", name]),
    ...(onLink ? ["onlink"] : []),
    ...(table === undefined ? [] : ["table", String(table)]),
    ...(metric === undefined ? [] : ["metric", String(metric)]),
    ...(src === undefined ? [] : ["src", src]),
    ...(scope === undefined ? [] : ["scope", scope]),
    ...(mtu === undefined ? [] : ["mtu", String(mtu)]),
    ...hops.flatMap((hop) => [
      ...["nexthop", ...by(hop.via), "dev", nameOf(hop.link)],
      ...(hop.weight === undefined ? [] : ["weight", String(hop.weight)]),
      ...(hop.onLink ? ["onlink"] : []),
    ]),
  ];
}

function isOf6({ family, via, to }: Route): boolean {
  return family === undefined ? isIPv6((via ?? to).split("/")[0]!) : family === 6;
}

/** A rule, with the names that its links have in the base. */
export function ruleCommand({ family, priority, words }: RuleFacts, nameOf: NameOf): string[] {
  const named = words.map((word, at) => (["iif", "oif"].includes(words[at - 1] ?? "") ? nameOf(word) : word));
  return ["ip", `-${family}`, "rule", "add", "priority", String(priority), ...named];
}

/** Whether a rule is about a link, which has to be there before. */
export function isOfLinks({ words }: RuleFacts): boolean {
  return words.includes("iif") || words.includes("oif");
}
