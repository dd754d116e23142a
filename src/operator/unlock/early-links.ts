import type { Network } from "../../schema/network.ts";
import { linksOf } from "../../schema/network.ts";
import type { Spec } from "../../schema/spec.ts";

/** A link that the initramfs can bring up: a card, or VLANs on one. */
export interface EarlyLink {
  readonly name: string;
  readonly link: Network;
  /** VLANs on it, by name. */
  readonly vlans: readonly { readonly id: number; readonly above: EarlyLink }[];
}

/** Cards, with what is laid on them. A card that is a part of a bond or a bridge is none that has an address. */
export function earlyLinks(network: Spec["network"]): EarlyLink[] {
  return Object.entries(network)
    .filter(([, { device }]) => device === undefined)
    .map(([name]) => earlyLink(name, network));
}

/** Whether an address is on it as soon as it is up. */
export function hasAddress({ link }: EarlyLink): boolean {
  const { addresses, dhcp, ipv6AcceptRa } = link;
  return addresses.length > 0 || dhcp === "yes" || dhcp === "ipv4" || ipv6AcceptRa === true;
}

/** All of them, those that are laid on others too. */
export function allOf(links: readonly EarlyLink[]): EarlyLink[] {
  return links.flatMap((one) => [one, ...allOf(one.vlans.map(({ above }) => above))]);
}

/** Links that carry an address and that the initramfs does not make, each with what it is. */
export function notEarly(network: Spec["network"]): { readonly name: string; readonly kind: string }[] {
  const early = new Set(allOf(earlyLinks(network)).map(({ name }) => name));
  return Object.entries(network).flatMap(([name, link]) => {
    const { device } = link;
    const guests = device?.kind === "bridge" && device.links.length === 0;
    if (device === undefined || device.kind === "wireguard" || guests || early.has(name)) return [];
    return hasAddress({ name, link, vlans: [] }) ? [{ name, kind: device.kind }] : [];
  });
}

function earlyLink(name: string, network: Spec["network"]): EarlyLink {
  const link = network[name]!;
  const above = Object.entries(network).filter(([, { device }]) => linksOf(device).includes(name));
  return {
    name,
    link,
    vlans: above.flatMap(([upper, { device }]) =>
      device?.kind === "vlan" ? [{ id: device.id, above: earlyLink(upper, network) }] : [],
    ),
  };
}
