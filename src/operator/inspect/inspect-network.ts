import { isIP, isIPv6 } from "node:net";
import { z } from "zod";
import type { LinkFacts, MadeLink, RouteFacts, RuleFacts } from "../../schema/facts.ts";
import { Fail } from "../../util/fail.ts";
import { untaggedVlans, withUntagged } from "./network/bridge-vlans.ts";
import { addressesOf, routesOf } from "./network/ip-text.ts";
import { localTable, mainTable, rulesOf, tableNumbers, tableOf } from "./network/rules.ts";
import { parseSysLinks, type SysLink } from "./network/sys-links.ts";

// `ip -j` of iproute2 4.17 and later; fields that are not used are passed over on purpose.
const IpAddress = z.array(
  z.looseObject({
    ifname: z.string().optional(),
    link: z.string().optional(),
    address: z.string().optional(),
    permaddr: z.string().optional(),
    mtu: z.int().optional(),
    flags: z.array(z.string()).optional(),
    link_type: z.string().optional(),
    linkinfo: z
      .looseObject({
        info_kind: z.string().optional(),
        info_data: z.looseObject({ id: z.int().optional(), protocol: z.string().optional() }).optional(),
      })
      .optional(),
    addr_info: z
      .array(
        z.looseObject({
          family: z.string().optional(),
          local: z.string().optional(),
          address: z.string().optional(),
          prefixlen: z.int().optional(),
          scope: z.string().optional(),
          dynamic: z.boolean().optional(),
          metric: z.int().optional(),
          noprefixroute: z.boolean().optional(),
        }),
      )
      .default([]),
  }),
);

const hop = {
  gateway: z.string().optional(),
  via: z.looseObject({ host: z.string() }).optional(),
  dev: z.string().optional(),
  flags: z.array(z.string()).default([]),
};
const IpRoute = z.array(
  z.looseObject({
    ...hop,
    type: z.string().optional(),
    dst: z.string().optional(),
    protocol: z.string().optional(),
    scope: z.string().optional(),
    metric: z.int().optional(),
    table: z.string().optional(),
    prefsrc: z.string().optional(),
    metrics: z.array(z.looseObject({ mtu: z.int().optional() })).optional(),
    nexthops: z.array(z.looseObject({ ...hop, weight: z.int().optional() })).optional(),
  }),
);
type IpLink = z.output<typeof IpAddress>[number];
type IpRoute = z.output<typeof IpRoute>[number];

const refusing = ["blackhole", "unreachable", "prohibit", "throw"] as const;
/** Links to guests. */
const guests = new Set(["tun", "veth"]);
/** Drivers of which `ip` says no kind. */
const radios = new Set(["wlan", "wwan"]);

/** The probe's sections of the network. */
type Sections = (name: string) => string;

/** Links, routes and rules, from a host with any `ip`. */
export function parseNetwork(get: Sections): {
  readonly links: LinkFacts[];
  readonly routes: RouteFacts[];
  readonly rules?: RuleFacts[];
} {
  const sys = parseSysLinks(get("links"));
  const numbers = tableNumbers(get("route-tables"));
  const asking = new Set([...get("udhcpc").matchAll(/ (?:-i|--interface) ?(\S+)/g)].map(([, name]) => name!));
  const shown = parse(IpAddress, get("ip-address"), "ip address", (text) => addressesOf(text, asking));
  const kept = new Set(
    shown.flatMap(({ ifname, addr_info }) => (addr_info.some((one) => one.noprefixroute) ? [ifname!] : [])),
  );
  const routes = ([4, 6] as const).flatMap((family) =>
    parse(IpRoute, get(`ip-route${family}`), family === 4 ? "ip route" : "ip -6 route", routesOf).flatMap(
      (route) => routeOf(route, family, numbers, kept) ?? [],
    ),
  );
  const rules = ([4, 6] as const).flatMap((family) => rulesOf(get(`ip-rule${family}`), family, numbers));
  const vlans = untaggedVlans(get("bridge-vlans"));
  const kinds = new Map(shown.map(({ ifname, linkinfo }) => [ifname, linkinfo?.info_kind]));
  const isGuest = (name: string) => guests.has(kinds.get(name) ?? sys.get(name)?.kind ?? "");
  const links = linksOf(shown, sys, routes).map((link) => {
    const device = withUntagged(link.name, link.device, vlans, isGuest);
    return device === undefined ? link : { ...link, device };
  });
  return { links, routes, ...(rules.length === 0 ? {} : { rules }) };
}

/** Loopback only where it has addresses of the world's. An address is dynamic where the kernel counts down its lifetime (DHCP, router advertisement). */
function linksOf(
  shown: readonly IpLink[],
  sys: ReadonlyMap<string, SysLink>,
  routes: readonly RouteFacts[],
): LinkFacts[] {
  const ip = new Map(shown.map((link) => [link.ifname ?? "", link]));
  // An `ip` that prints text names the links that have addresses alone.
  const names = shown.some(({ link_type }) => link_type !== undefined) ? ip.keys() : sys.keys();
  return [...new Set(names)].flatMap((name) => {
    const link = ip.get(name) ?? { addr_info: [] };
    const known = sys.get(name);
    const isLoopback = link.link_type === "loopback" || known?.isLoopback === true;
    const addresses = link.addr_info
      .filter((address) => address.scope === "global" && address.local !== undefined)
      .map(addressOf);
    if (name === "" || (isLoopback && addresses.length === 0)) return [];
    const kind = isLoopback ? "loopback" : kindOf(link, known);
    const device = withProtocol(known?.device ?? vlanOf(link), link);
    const current = (link.address ?? known?.mac ?? "").toLowerCase();
    const mac =
      (device === undefined ? (link.permaddr ?? known?.ownMac) : undefined)?.toLowerCase() ?? current;
    const isByProgram =
      addresses.some((one) => one.dynamic && isIPv6(one.address)) ||
      routes.some((one) => one.link === name && one.dynamic && isIPv6(one.via ?? one.to));
    return [
      {
        name,
        // Where it was changed, the card's own: that is the one it has in another kernel.
        mac,
        ...(mac === current || known?.master !== undefined ? {} : { address: current }),
        mtu: link.mtu ?? known?.mtu ?? 1500,
        up: link.flags?.includes("UP") ?? known?.up ?? true,
        ...(kind === undefined ? {} : { kind }),
        ...(device === undefined ? {} : { device }),
        ...(known?.path === undefined ? {} : { path: known.path }),
        ...(known?.master === undefined ? {} : { master: known.master }),
        ...(known?.passesOverRa === true && !isByProgram ? { acceptRa: false as const } : {}),
        addresses,
      },
    ];
  });
}

/** A wireless card is a card to `ip`. */
function kindOf(link: IpLink, known: SysLink | undefined): string | undefined {
  const shown = link.linkinfo?.info_kind;
  if (shown !== undefined) return shown;
  if (link.link_type === undefined) return known?.kind;
  if (known?.kind !== undefined && radios.has(known.kind)) return known.kind;
  return link.link_type === "ether" ? known?.device?.kind : link.link_type;
}

function vlanOf({ link, linkinfo }: IpLink): MadeLink | undefined {
  const id = linkinfo?.info_data?.id;
  return linkinfo?.info_kind === "vlan" && id !== undefined && link !== undefined
    ? { kind: "vlan", id, link }
    : undefined;
}

/** /proc does not say it. */
function withProtocol(device: MadeLink | undefined, { linkinfo }: IpLink): MadeLink | undefined {
  if (device?.kind !== "vlan" || linkinfo?.info_data?.protocol !== "802.1ad") return device;
  return { ...device, protocol: "802.1ad" };
}

function addressOf(shown: IpLink["addr_info"][number]): LinkFacts["addresses"][number] {
  return {
    address: shown.local!,
    prefix: shown.prefixlen ?? 32,
    dynamic: shown.dynamic === true,
    ...(shown.metric === undefined ? {} : { metric: shown.metric }),
    ...(shown.noprefixroute === true ? { noPrefixRoute: true as const } : {}),
    ...(shown.address === undefined || shown.address === shown.local ? {} : { peer: shown.address }),
  };
}

/** A route that was set: what the kernel itself derives from addresses comes back with them, unless they say that it does not. */
function routeOf(
  route: IpRoute,
  family: 4 | 6,
  numbers: ReadonlyMap<string, number>,
  kept: ReadonlySet<string>,
): RouteFacts | undefined {
  const { dst, type = "unicast", scope, nexthops = [], metric, prefsrc } = route;
  const refuses = refusing.find((one) => one === type);
  const dev = nexthops[0]?.dev ?? route.dev ?? (refuses === undefined ? undefined : "lo");
  if (dst === undefined || dev === undefined || (dev === "lo" && refuses === undefined)) return undefined;
  if (refuses === undefined && type !== "unicast") return undefined;
  const isKernel = route.protocol === "kernel" && (!kept.has(dev) || dst.startsWith("fe80:"));
  const table = tableOf(route.table ?? "main", numbers);
  if (isKernel || table === undefined || table === localTable) return undefined;
  const mtu = route.metrics?.find((one) => one.mtu !== undefined)?.mtu;
  const via = gatewayOf(route);
  const shows6 = via === undefined ? dst.includes(":") : isIPv6(via);
  return {
    to: dst,
    ...(via === undefined ? {} : { via }),
    link: dev,
    onLink: route.flags.includes("onlink"),
    dynamic: route.protocol === "dhcp" || route.protocol === "ra",
    ...(metric === undefined ? {} : { metric }),
    ...(shows6 === (family === 6) ? {} : { family }),
    ...(table === mainTable ? {} : { table }),
    ...(prefsrc === undefined ? {} : { src: prefsrc }),
    // That of a route by a gateway, and of one without.
    ...(scope === undefined || scope === "global" || (scope === "link" && via === undefined)
      ? {}
      : { scope }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(refuses === undefined ? {} : { refuses }),
    ...(nexthops.length === 0 ? {} : { hops: nexthops.flatMap(hopOf) }),
  };
}

function gatewayOf({ gateway, via }: Pick<IpRoute, "gateway" | "via">): string | undefined {
  return gateway ?? via?.host;
}

function hopOf(hop: NonNullable<IpRoute["nexthops"]>[number]) {
  const via = gatewayOf(hop);
  if (hop.dev === undefined) return [];
  return [
    {
      ...(via === undefined ? {} : { via }),
      link: hop.dev,
      onLink: hop.flags.includes("onlink"),
      ...(hop.weight === undefined || hop.weight === 1 ? {} : { weight: hop.weight }),
    },
  ];
}

/** Name servers, those of a local stub resolver first; loopback addresses are of no use to another kernel. */
export function parseNameServers(resolvConf: string, uplink: string): string[] {
  const servers = [...`${uplink}\n${resolvConf}`.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
    (match) => match[1]!,
  );
  return [...new Set(servers)].filter(
    (server) => isIP(server) !== 0 && !server.startsWith("127.") && server !== "::1",
  );
}

function parse<S extends z.ZodType>(
  schema: S,
  printed: string,
  what: string,
  fromText: (text: string) => unknown,
): z.output<S> {
  if (printed === "") return schema.parse([]);
  const result = schema.safeParse(/^[[{]/.test(printed) ? fromJson(printed, what) : fromText(printed));
  if (!result.success)
    throw new Fail(`the host's \`${what}\` printed something unexpected`, { cause: result.error });
  return result.data;
}

function fromJson(printed: string, what: string): unknown {
  try {
    return JSON.parse(printed);
  } catch {
    throw new Fail(`the host's \`${what}\` printed no JSON that ends`);
  }
}
