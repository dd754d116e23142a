import type { NetworkReplay } from "../../schema/base/deploy.ts";
import type { Facts, RouteFacts } from "../../schema/facts.ts";

/** Of a default route by DHCP where the old system shows none. */
const anyMetric = 1024;

/**
 * What must be set up in the base to be reached as the old system was: links by MAC (kernel names may differ there),
 * addresses, routes and name servers; DHCP only on links whose IPv4 address came from it.
 * `problems` says what cannot be replayed and why; a deploy refuses when it is not empty.
 */
export function networkReplay(facts: Pick<Facts, "links" | "routes" | "dns">): {
  replay: NetworkReplay;
  problems: string[];
} {
  const problems: string[] = [];
  const links = [];
  for (const link of facts.links) {
    if (link.addresses.length === 0) continue;
    const routes = facts.routes.filter((route) => route.link === link.name);
    if (link.kind !== undefined) {
      if (routes.some((route) => route.to === "default"))
        problems.push(
          `the default route leaves by ${link.name}, a ${link.kind}, which the base cannot set up yet`,
        );
      continue;
    }
    const dhcp4 = link.addresses.some((other) => other.dynamic && !isV6(other.address));
    const byDhcp = (route: RouteFacts) => dhcp4 && !isV6(route.via ?? route.to);
    const addresses = (dynamic: boolean) =>
      link.addresses
        .filter((other) => other.dynamic === dynamic)
        .map(({ address, prefix }) => ({ address, prefix }));
    links.push({
      mac: link.mac.toLowerCase(),
      mtu: link.mtu,
      dhcp4,
      addresses: addresses(false),
      routes: routes.filter((route) => !route.dynamic && !byDhcp(route)).map(shown),
      // Routes of router advertisements come back by themselves; the kernel asks for them.
      given: { addresses: addresses(true), routes: routes.filter(byDhcp).map(shown) },
      ...metricOf(routes.filter(byDhcp)),
    });
  }
  if (links.length === 0 && problems.length === 0)
    problems.push(
      facts.links.length === 0
        ? "no network card was seen at all: `ip`, of the package iproute2, is what shows them"
        : "no network card with a global address was found",
    );
  const macs = links.map((link) => link.mac);
  for (const mac of new Set(macs))
    if (macs.filter((other) => other === mac).length > 1)
      problems.push(`two network cards answer to ${mac}, so they cannot be told apart`);
  // Where no link had a way out, DHCP may know one.
  const isLost = links.every(({ routes, metric }) => metric === undefined && !routes.some(isDefault4));
  const replayed = links.map((link, index) =>
    isLost && link.dhcp4 ? { ...link, metric: anyMetric + index } : link,
  );
  return { replay: { links: replayed, dns: facts.dns }, problems };
}

/** Why the base would not answer at the address by which the old system is reached; undefined where it will. */
export function reachProblem({ links }: Pick<Facts, "links">, reachedBy: string): string | undefined {
  const address = reachedBy.replace(/^::ffff:/i, "").replace(/%.*$/, "");
  // The address is unknown, or one that each link makes for itself.
  if (address === "" || address.startsWith("fe80:")) return undefined;
  const link = links.find(({ addresses }) => addresses.some((other) => other.address === address));
  if (link !== undefined && link.kind === undefined) return undefined;
  const where = link === undefined ? "no network card" : `${link.name}, a ${link.kind}`;
  return `the host is reached by its address ${address}, which is on ${where}: the base cannot set that up`;
}

/** The default route's that DHCP had set: of several links the same one leads out in the base. */
function metricOf(routes: readonly RouteFacts[]): { metric?: number } {
  const found = routes.find(isDefault4);
  return found === undefined ? {} : { metric: found.metric ?? 0 };
}

function isDefault4({ to, via }: Pick<RouteFacts, "to" | "via">): boolean {
  return to === "default" && !isV6(via ?? "");
}

function isV6(address: string): boolean {
  return address.includes(":");
}

function shown({ to, via, onLink, metric }: RouteFacts) {
  return {
    to,
    onLink,
    ...(via === undefined ? {} : { via }),
    ...(metric === undefined ? {} : { metric }),
  };
}

/** The command that brings a link up; `name` is the link's name in the base. */
export function upCommand(link: NetworkReplay["links"][number], name: string): string[] {
  return ["ip", "link", "set", "dev", name, "mtu", String(link.mtu), "up"];
}

/** The commands, for `ip` in the base, that give a link its addresses and routes; after DHCP was asked, which clears the link first. */
export function linkCommands(
  link: NetworkReplay["links"][number],
  name: string,
  dhcpAnswered: boolean,
): string[][] {
  const commands = [...link.addresses, ...link.given.addresses].map(({ address, prefix }) => [
    "ip",
    "address",
    "replace",
    `${address}/${prefix}`,
    "dev",
    name,
    ...(isV6(address) ? ["nodad"] : []),
  ]);
  // Link routes first: a gateway outside the prefix is reached through one of them.
  const routes = [...link.routes, ...(dhcpAnswered ? [] : link.given.routes)].sort(
    (a, b) => Number(a.via !== undefined) - Number(b.via !== undefined),
  );
  for (const route of routes)
    commands.push([
      "ip",
      ...(isV6(route.via ?? route.to) ? ["-6"] : []),
      "route",
      "replace",
      route.to,
      ...(route.via === undefined ? [] : ["via", route.via]),
      "dev",
      name,
      ...(route.onLink ? ["onlink"] : []),
      ...(route.metric === undefined ? [] : ["metric", String(route.metric)]),
    ]);
  return commands;
}
