import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { NetworkReplay } from "../schema/base/deploy.ts";
import type { Network } from "../schema/network.ts";
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
 * The definition's fixed addresses on the cards that it means, for the base, which asks for addresses on every card anyway. A
 * machine with one card for one declared link is meant whatever their names are. What is made of several cards, or tagged, is
 * left to DHCP: `left` names it.
 */
export function networkFor(
  { network }: Pick<Spec, "network">,
  cards: readonly Card[],
): { readonly replay: NetworkReplay; readonly left: readonly string[] } {
  const declared = Object.entries(network).filter(([, { device }]) => device === undefined);
  const left = Object.entries(network).flatMap(([name, { device }]) => (device === undefined ? [] : [name]));
  // A server by DHCP serves better than one that may be reached from the declared network alone.
  const dns: string[] = [];
  const links = declared.flatMap(([name, link]) => {
    const fixed = link.addresses.length > 0;
    const found = cards.filter((card) => isMeant(name, link, card));
    const [card] = found.length === 0 && declared.length === 1 && cards.length === 1 ? cards : found;
    if (card === undefined || found.length > 1) {
      if (fixed) left.push(name);
      return [];
    }
    if (!fixed) return [];
    dns.push(...link.dns);
    return [replayOf(link, card)];
  });
  return { replay: { links, dns }, left };
}

function isMeant(name: string, { match = { name } }: Network, card: Card): boolean {
  if (match.mac !== undefined && match.mac.toLowerCase() !== card.mac) return false;
  if (match.name === undefined) return true;
  const pattern = linkPattern(match.name);
  return card.names.some((one) => pattern.test(one));
}

function replayOf(link: Network, { mac }: Card): NetworkReplay["links"][number] {
  const isV6 = (text: string) => text.includes(":");
  const more = { ...(link.metric === undefined ? {} : { metric: link.metric }) };
  return {
    mac,
    mtu: link.mtu ?? 1_500,
    dhcp4: false,
    addresses: link.addresses.map((one) => {
      const [address, prefix] = one.split("/") as [string, string];
      return { address, prefix: Number(prefix) };
    }),
    routes: [
      ...link.gateway.map((via) => ({ to: "default", via, onLink: link.gatewayOnLink, ...more })),
      ...(link.routes ?? [])
        .filter(({ table }) => table === undefined)
        .map(({ destination, gateway, onLink = false, metric }) => ({
          to: destination === "default" && isV6(gateway ?? "") ? "::/0" : destination,
          ...(gateway === undefined ? {} : { via: gateway }),
          ...{ onLink, ...(metric === undefined ? {} : { metric }) },
        })),
    ],
    given: { addresses: [], routes: [] },
  };
}
