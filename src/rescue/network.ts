import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { LinkReplay, NetworkReplay } from "../schema/base/deploy.ts";
import type { MadeLink } from "../schema/facts.ts";
import { linksOf, type Network } from "../schema/network.ts";
import type { Spec } from "../schema/spec.ts";
import { readIfThere } from "../system/files/read-if-there.ts";
import { linkPattern } from "../system/machine/link-names.ts";

/** A card of this machine, by what a definition may call it: its names by systemd's rules, and its address. */
interface Card {
  readonly mac: string;
  readonly names: readonly string[];
}

/** The machine's cards, as udev knows them. The base itself leaves the kernel's names. */
export function cardsHere(sys = "/sys", udev = "/run/udev/data"): Card[] {
  const net = join(sys, "class/net");
  return readdirSync(net).flatMap((name) => {
    const mac = readIfThere(join(net, name, "address"))?.trim();
    const index = readIfThere(join(net, name, "ifindex"))?.trim();
    const isCard = readIfThere(join(net, name, "device/uevent")) !== undefined;
    if (mac === undefined || !isCard) return [];
    const known = readIfThere(join(udev, `n${index}`)) ?? "";
    const names = [...known.matchAll(/^E:ID_NET_NAME(?:_ONBOARD|_SLOT|_PATH|_MAC)?=(.+)$/gm)].map(
      ([, one]) => one!,
    );
    return [{ mac: mac.toLowerCase(), names: [...new Set([name, ...names])] }];
  });
}

/**
 * The definition's network, for the base, which asks for addresses on every card anyway: fixed addresses, and bonds, bridges and
 * VLANs with their cards. If the machine and the definition have one card each, their names need not agree.
 * `left` names what is not set up.
 */
export function networkFor(
  { network }: Pick<Spec, "network">,
  cards: readonly Card[],
): { readonly replay: NetworkReplay; readonly left: readonly string[] } {
  const declared = Object.entries(network);
  const real = declared.filter(([, { device }]) => device === undefined);
  const left: string[] = [];
  // A server by DHCP serves better than one that may be reached from the declared network alone.
  const dns: string[] = [];
  const links: LinkReplay[] = [];
  /** Names in `links` of what each entry became, several where more than one card is meant. */
  const made = new Map<string, readonly string[]>();
  const isPart = (name: string) => declared.some(([, { device }]) => linksOf(device).includes(name));
  const isJoined = (name: string) =>
    declared.some(([, { device }]) => device?.kind !== "vlan" && linksOf(device).includes(name));
  for (const [name, link] of real) {
    const fixed = link.addresses.length > 0;
    const found = cards.filter((card) => isMeant(name, link, card));
    const meant = found.length === 0 && real.length === 1 && cards.length === 1 ? cards : found;
    if (!fixed && !isPart(name)) continue;
    // Of a bond each may be a part.
    if (meant.length === 0 || (meant.length > 1 && !isJoined(name))) {
      if (fixed) left.push(name);
      continue;
    }
    const names = meant.map((_, index) => (index === 0 ? name : `${name}+${index}`));
    made.set(name, names);
    dns.push(...link.dns);
    links.push(...meant.map((card, index) => cardReplay(names[index]!, link, card, isPart(name))));
  }
  for (const [name, link] of lowersFirst(
    declared.filter(([, { device }]) => device !== undefined),
    network,
  )) {
    // Nothing outside is reached by a bridge of guests.
    if (link.device?.kind === "bridge" && link.device.links.length === 0) continue;
    const lowers = linksOf(link.device).flatMap((lower) => made.get(lower) ?? []);
    const device = lowers.length === 0 ? undefined : deviceReplay(link.device, lowers, made);
    if (device === undefined) left.push(name);
    else {
      made.set(name, [name]);
      const mac = links.find((one) => one.name === lowers[0])?.mac ?? "";
      links.push(madeReplay(name, link, device, device.kind === "vlan" ? "" : mac));
      dns.push(...link.dns);
    }
  }
  return { replay: { links, dns }, left };
}

/** A device that consists of others comes after them. */
function lowersFirst(
  devices: readonly (readonly [string, Network])[],
  network: Spec["network"],
): (readonly [string, Network])[] {
  const ordered: (readonly [string, Network])[] = [];
  const add = (entry: readonly [string, Network], above: readonly string[]) => {
    if (above.includes(entry[0]) || ordered.some(([name]) => name === entry[0])) return;
    for (const lower of linksOf(entry[1].device)) {
      const found = devices.find(([name]) => name === lower && network[lower] !== undefined);
      if (found !== undefined) add(found, [...above, entry[0]]);
    }
    ordered.push(entry);
  };
  for (const entry of devices) add(entry, []);
  return ordered;
}

function isMeant(name: string, { match = { name } }: Network, card: Card): boolean {
  if (match.mac !== undefined && match.mac.toLowerCase() !== card.mac) return false;
  if (match.name === undefined) return true;
  const pattern = linkPattern(match.name);
  return card.names.some((one) => pattern.test(one));
}

/** What cards and the devices above them declare alike. */
function replayOf(link: Network): Omit<LinkReplay, "mac"> {
  const isV6 = (text: string) => text.includes(":");
  const more = { ...(link.metric === undefined ? {} : { metric: link.metric }) };
  return {
    mtu: link.mtu ?? 1_500,
    dhcp4: false,
    ...(link.ipv6AcceptRa === false ? { acceptRa: false as const } : {}),
    addresses: link.addresses.map((one) => {
      const [address, prefix] = one.split("/") as [string, string];
      return { address, prefix: Number(prefix) };
    }),
    routes: [
      ...link.gateway.map((via) => ({ to: "default", via, onLink: link.gatewayOnLink, ...more })),
      ...(link.routes ?? []).map(({ destination, gateway, onLink = false, metric, table }) => ({
        to: destination === "default" && isV6(gateway ?? "") ? "::/0" : destination,
        ...(gateway === undefined ? {} : { via: gateway }),
        ...{ onLink, ...(metric === undefined ? {} : { metric }), ...(table === undefined ? {} : { table }) },
      })),
    ],
    given: { addresses: [], routes: [] },
  };
}

function cardReplay(name: string, link: Network, { mac }: Card, isPart: boolean): LinkReplay {
  return {
    ...(isPart ? { name } : {}),
    mac,
    ...(link.mac === undefined ? {} : { address: link.mac }),
    ...replayOf(link),
  };
}

/** Of a default route by DHCP where the definition names no metric; after those that are fixed. */
const byDhcp = 1024;

function madeReplay(name: string, link: Network, device: MadeLink, ofCard: string): LinkReplay {
  const dhcp4 = link.dhcp === "yes" || link.dhcp === "ipv4";
  return {
    name,
    mac: link.mac ?? ofCard,
    ...replayOf(link),
    device,
    ...(dhcp4 ? { dhcp4, metric: link.metric ?? byDhcp } : {}),
  };
}

function deviceReplay(
  device: Network["device"],
  lowers: readonly string[],
  made: ReadonlyMap<string, readonly string[]>,
): MadeLink | undefined {
  switch (device?.kind) {
    case "vlan":
      return lowers.length > 1 ? undefined : { kind: "vlan", id: device.id, link: lowers[0]! };
    case "bond": {
      const [primary] = device.primary === undefined ? [] : (made.get(device.primary) ?? []);
      const options = {
        ...{ mode: device.mode, miimon: String(device.monitorMs) },
        ...(device.lacpRate === undefined ? {} : { lacp_rate: device.lacpRate }),
        ...(device.hashPolicy === undefined ? {} : { xmit_hash_policy: device.hashPolicy }),
        ...(primary === undefined ? {} : { primary }),
      };
      return { kind: "bond", options, members: [...lowers] };
    }
    case "bridge":
      return { kind: "bridge", stp: device.stp === true, vlanFiltering: false, members: [...lowers] };
    default:
      return undefined;
  }
}
