import type { NetworkReplay } from "../schema/deploy.ts";
import type { Facts } from "../schema/facts.ts";

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
    const isV6 = (address: string) => address.includes(":");
    const dhcp4 = link.addresses.some((one) => one.dynamic && !isV6(one.address));
    links.push({
      mac: link.mac.toLowerCase(),
      mtu: link.mtu,
      dhcp4,
      // IPv6 addresses of router advertisements come back by themselves; the kernel asks for them.
      addresses: link.addresses
        .filter((one) => !one.dynamic)
        .map(({ address, prefix }) => ({ address, prefix })),
      routes: routes
        .filter((route) => !route.dynamic)
        .filter((route) => !(dhcp4 && !isV6(route.via ?? route.to)))
        .map(({ to, via, onLink, metric }) => ({
          to,
          onLink,
          ...(via === undefined ? {} : { via }),
          ...(metric === undefined ? {} : { metric }),
        })),
    });
  }
  if (links.length === 0 && problems.length === 0)
    problems.push("no network card with a global address was found");
  const macs = links.map((link) => link.mac);
  for (const mac of new Set(macs))
    if (macs.filter((one) => one === mac).length > 1)
      problems.push(`two network cards answer to ${mac}, so they cannot be told apart`);
  return { replay: { links, dns: facts.dns }, problems };
}

/** The commands that set one link up, for `ip` in the base; `name` is the link's name there. */
export function linkCommands(link: NetworkReplay["links"][number], name: string): string[][] {
  const commands = [["ip", "link", "set", "dev", name, "mtu", String(link.mtu), "up"]];
  for (const { address, prefix } of link.addresses)
    commands.push([
      "ip",
      "address",
      "replace",
      `${address}/${prefix}`,
      "dev",
      name,
      ...(address.includes(":") ? ["nodad"] : []),
    ]);
  // Link routes first: a gateway outside the prefix is reached through one of them.
  const routes = [...link.routes].sort((a, b) => Number(a.via !== undefined) - Number(b.via !== undefined));
  for (const route of routes)
    commands.push([
      "ip",
      ...((route.via ?? route.to).includes(":") ? ["-6"] : []),
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
