import { isIP } from "node:net";
import type { DiskFacts, Facts, LinkFacts, RouteFacts } from "../../schema/facts.ts";
import { isOwnSerial, isOwnWwn, suggestedMatch } from "../../storage/table/disk-names.ts";
import { lowersOf } from "../../system/machine/link-stack.ts";
import { networkOf as networkOfAddress, parseCidr, showAddress } from "../../util/addresses.ts";
import { countOf } from "../../util/count.ts";
import { boundTo } from "../inspect/host-binding.ts";
import { type StackEntry, stackOf } from "./stack.ts";

/** What a repository is written from. */
export interface Answers {
  readonly hostname: string;
  /** Of the disk to be written: `match: { serial: "…" }`; undefined where it is not known. */
  readonly match: string | undefined;
  /** A line of the definition that binds it to the host; none where the disk does. */
  readonly binding?: string | undefined;
  readonly firmware: readonly ("uefi" | "bios")[];
  /** Static addresses; else the machine asks by DHCP. */
  readonly network?: StaticNetwork | undefined;
  /** The link that leads out is made of others. */
  readonly stack?: readonly StackEntry[] | undefined;
  /** The host was seen to ask by DHCP. */
  readonly dhcp?: boolean;
  /** Public keys of the administrator. */
  readonly keys: readonly string[];
  readonly timezone?: string | undefined;
  /** Packages beside those that every server here has, to choose from. */
  readonly packages: readonly string[];
  /** Its kernel is that for virtual machines, which is smaller and starts faster. */
  readonly isCloud: boolean;
  /** What was found on the host and is not in the definition. */
  readonly notes: readonly string[];
}

interface StaticNetwork {
  readonly match: { readonly mac: string } | { readonly name: string };
  readonly addresses: readonly string[];
  readonly gateway: readonly string[];
  readonly gatewayOnLink: boolean;
  readonly dns: readonly string[];
  readonly mtu?: number;
  readonly routes?: readonly StaticRoute[];
}

interface StaticRoute {
  readonly destination: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly onLink?: true;
  readonly table?: number;
}

/** What a host says, beside its facts. */
export interface HostWords {
  readonly timezone: string;
  /** Marked as installed by hand. */
  readonly packages: readonly string[];
  /** Of the login's authorized_keys. */
  readonly keys: readonly string[];
  /** The key that let us in. */
  readonly openedBy: string;
}

export const noHost: Omit<Answers, "hostname"> = {
  match: undefined,
  firmware: ["uefi", "bios"],
  keys: [],
  packages: [],
  isCloud: false,
  notes: [],
};

/** What can be said of a new system for this host from what it is now. */
export function answersFor(facts: Facts, words: HostWords): Answers {
  const system = systemDisk(facts.disks);
  const match = system === undefined ? undefined : suggestedMatch(system, facts.disks);
  const network = networkOf(facts);
  const others = words.keys.filter((key) => !sameKey(key, words.openedBy));
  return {
    hostname: hostnameFrom(facts.hostname),
    match,
    binding:
      system === undefined || isKnownAnywhere(system)
        ? undefined
        : boundTo({ hostKeys: "new" }, facts, undefined).line,
    firmware: [facts.firmware],
    network: network.static,
    ...(network.stack === undefined ? {} : { stack: network.stack }),
    dhcp: network.static === undefined && facts.routes.some(({ to, dynamic }) => to === "default" && dynamic),
    keys: [words.openedBy],
    timezone: /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+){0,2}$/.test(words.timezone) ? words.timezone : undefined,
    packages: words.packages.filter((name) => /^[a-z0-9][a-z0-9+.-]+$/.test(name)),
    isCloud: /-cloud-/.test(facts.kernel),
    notes: [
      ...(system === undefined ? ["no disk holds the root alone: name the one to be written"] : []),
      ...facts.disks.filter((disk) => disk !== system).map(otherDisk),
      ...network.notes,
      ...(others.length > 0 ? [`this login is open to ${countOf(others.length, "more SSH key")}`] : []),
      ...(facts.secureBoot ? ["Secure Boot is on: say `boot.secureBoot`, or switch it off"] : []),
    ],
  };
}

/** What comes with every Debian, and what starts one. */
const usualPriority = /^(required|important)$/;
const usualName = /^(grub|shim|linux-image)-/;

/**
 * Of the packages that are marked as installed by hand, those that somebody may have wanted: many a host was made with all marked.
 * `known`: lines of dpkg, "name priority section".
 */
export function chosenByHand(marked: readonly string[], known: readonly string[]): string[] {
  const words = new Map(known.map((line) => [line.split(" ")[0], line.split(" ")]));
  return marked.filter((name) => {
    const [, priority = "", section = ""] = words.get(name) ?? [];
    const isUsual = usualPriority.test(priority) || usualName.test(name);
    return name !== "" && !isUsual && !/(^|\/)(old)?libs$/.test(section);
  });
}

/** Whether the disk alone says which machine is meant. */
function isKnownAnywhere({ serial, wwn }: DiskFacts): boolean {
  return (serial !== undefined && isOwnSerial(serial)) || (wwn !== undefined && isOwnWwn(wwn));
}

/** A name as definitions take it: the first label. */
export function hostnameFrom(name: string): string {
  const [label = ""] = name.toLowerCase().split(".");
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label) ? label : "server";
}

function systemDisk(disks: readonly DiskFacts[]): DiskFacts | undefined {
  const holdsRoot = ({ mountPoints, partitions }: DiskFacts) =>
    [mountPoints, ...partitions.map((part) => part.mountPoints)].some((points) => points.includes("/"));
  const written = disks.filter(({ removable, readOnly }) => !removable && !readOnly);
  return disks.find(holdsRoot) ?? (written.length === 1 ? written[0] : undefined);
}

function otherDisk({ name, model, sizeBytes }: DiskFacts): string {
  return `${name}${model === undefined ? "" : ` (${model})`}, ${Math.round(sizeBytes / 2 ** 30)} GiB, is not named, so it stays as it is`;
}

const usualMtu = 1500;

function networkOf({ links, routes: all, dns, rules = [] }: Facts): {
  readonly static?: StaticNetwork;
  readonly stack?: readonly StackEntry[];
  readonly notes: readonly string[];
} {
  const routes = all.filter((route) => !isOfAddress(route, links));
  const ways = routes.filter(({ to, table }) => to === "default" && table === undefined);
  const first = ways.find(({ dynamic }) => !dynamic);
  const link = links.find(({ name }) => name === (first ?? ways[0])?.link);
  const notes =
    rules.length === 0 ? [] : ["rules choose its routes (`ip rule`): say them in files of your own"];
  if (link?.kind !== undefined) {
    const { match: _card, ...own } = staticOn(link, routes, dns);
    const asks = first === undefined ? { dhcp: "yes" } : withoutEmpty(own);
    const stack = stackOf(link, links, { ...asks, ...(link.mtu === usualMtu ? {} : { mtu: link.mtu }) });
    if (stack === undefined)
      return {
        notes: [`the way out is ${link.name}, a ${link.kind}: say it in \`network\`, as a \`device\``],
      };
    const parts = stackParts(link, links);
    const others = links.filter(({ name }) => name === link.name || !parts.has(name));
    return { stack, notes: [...notes, ...leftOut(others, routes, link.name, link)] };
  }
  if (first === undefined || link === undefined)
    return { notes: [...notes, ...leftOut(links, routes, link?.name)] };
  return {
    static: staticOn(link, routes, dns),
    notes: [...notes, ...leftOut(links, routes, link.name, link)],
  };
}

/** To the network of one of the link's addresses, which some set by themselves and others leave to the kernel. */
function isOfAddress({ to, via, link, table }: RouteFacts, links: readonly LinkFacts[]): boolean {
  const own = links.find(({ name }) => name === link)?.addresses ?? [];
  const networks = own.map(({ address, prefix }) => networkIn(`${address}/${prefix}`));
  const network = networkIn(to);
  return via === undefined && table === undefined && network !== undefined && networks.includes(network);
}

function networkIn(cidr: string): string | undefined {
  const [plain = "", prefix = ""] = cidr.split("/");
  // A host may say anything.
  if (isIP(plain) === 0 || !/^\d{1,3}$/.test(prefix)) return undefined;
  const { address, length } = parseCidr(cidr);
  if (length > address.bits) return undefined;
  return `${showAddress(networkOfAddress(address, length))}/${length}`;
}

/** Names of the links that one is made of. */
function stackParts(link: LinkFacts, links: readonly LinkFacts[]): ReadonlySet<string> {
  const parts = new Set<string>();
  const add = (one: LinkFacts) => {
    for (const name of lowersOf(one)) {
      const lower = links.find((other) => other.name === name);
      if (lower === undefined || parts.has(name)) continue;
      parts.add(name);
      add(lower);
    }
  };
  add(link);
  return parts;
}

function withoutEmpty(fields: Omit<StaticNetwork, "match">): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== false && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** What somebody has set on other links, and on a link that asks by DHCP. */
function leftOut(
  links: readonly LinkFacts[],
  routes: readonly RouteFacts[],
  out: string | undefined,
  said?: LinkFacts,
): string[] {
  const others = links.filter(({ name }) => name !== out);
  const set = routes.filter(({ link, to, dynamic }) => !dynamic && to !== "default" && link !== said?.name);
  return [
    ...others.flatMap(({ name, kind, addresses }) => {
      const own = addresses
        .filter(({ dynamic }) => !dynamic)
        .map(({ address, prefix }) => `${address}/${prefix}`);
      return own.length === 0
        ? []
        : [`${name}${kind === undefined ? "" : `, a ${kind},`} has ${own.join(", ")}`];
    }),
    ...set.map(
      ({ to, via, link }) => `a route leads to ${to}${via === undefined ? "" : ` by ${via}`} on ${link}`,
    ),
  ];
}

function staticOn(link: LinkFacts, routes: readonly RouteFacts[], dns: readonly string[]): StaticNetwork {
  const own = routes.filter((route) => route.link === link.name && !route.dynamic);
  const isUsual = ({ to, table }: RouteFacts) => to === "default" && table === undefined;
  const ways = own.filter(isUsual);
  const others = own.filter(
    (route) => !isUsual(route) && route.refuses === undefined && route.hops === undefined,
  );
  return {
    match: { mac: link.mac.toLowerCase() },
    addresses: link.addresses
      .filter(({ dynamic, address }) => !dynamic && !address.startsWith("fe80:"))
      .map(({ address, prefix }) => `${address}/${prefix}`),
    gateway: ways.flatMap(({ via }) => via ?? []),
    gatewayOnLink: ways.some(({ onLink }) => onLink),
    // A resolver on the host itself is gone with it.
    dns: dns.filter((server) => !/^(127\.|::1$)/.test(server)),
    ...(link.mtu === usualMtu ? {} : { mtu: link.mtu }),
    ...(others.length === 0 ? {} : { routes: others.map(routeOf) }),
  };
}

/** The kernel shows a route to one address without its length. */
function routeOf({ to, via, metric, onLink, table }: RouteFacts): StaticRoute {
  const destination = to.includes("/") || to === "default" ? to : `${to}/${to.includes(":") ? 128 : 32}`;
  return {
    destination,
    ...(via === undefined ? {} : { gateway: via }),
    ...(metric === undefined ? {} : { metric }),
    ...(onLink ? { onLink: true } : {}),
    ...(table === undefined ? {} : { table }),
  };
}

function sameKey(one: string, other: string): boolean {
  const bare = (key: string) => key.trim().split(/\s+/).slice(0, 2).join(" ");
  return bare(one) === bare(other);
}
