import type { z } from "zod";
import type { Device, Network } from "../schema/network.ts";

type NetworkInput = z.input<typeof Network>;
type Rest = Omit<NetworkInput, "match" | "device">;
type DeviceInput<K extends Device["kind"]> = Omit<
  Extract<NonNullable<NetworkInput["device"]>, { kind: K }>,
  "kind"
>;

/** Links that ask for their addresses: `dhcp("en*")`. A name may hold shell wildcards. */
export function dhcp(name: string, input: Omit<Rest, "dhcp"> = {}): NetworkInput {
  return { match: { name }, dhcp: "yes", ...input };
}

/** A link with addresses of its own, in CIDR notation. */
export function staticAddress(input: NetworkInput & { addresses: string[] }): NetworkInput {
  return { dhcp: "no", ...input };
}

/** A VLAN, with the entry's name: `v40: vlan({ id: 40, link: "lan" }, { addresses: ["192.0.2.10/24"] })`. */
export function vlan(device: DeviceInput<"vlan">, input: Rest = {}): NetworkInput {
  return { device: { kind: "vlan", ...device }, ...input };
}

/** Several cards as one: `uplink: bond({ mode: "802.3ad", links: ["port1", "port2"] }, { dhcp: "yes" })`. */
export function bond(device: DeviceInput<"bond">, input: Rest = {}): NetworkInput {
  return { device: { kind: "bond", ...device }, ...input };
}

/** A switch, for guests of this machine: `guests: bridge({ links: ["lan"] }, { addresses: ["192.0.2.10/24"] })`. */
export function bridge(device: DeviceInput<"bridge"> = {}, input: Rest = {}): NetworkInput {
  return { device: { kind: "bridge", ...device }, ...input };
}

/** A tunnel by WireGuard: `vpn: wireguard({ privateKeySecret: "vpn", peers: [{ publicKey, allowedIps }] }, { addresses })`. */
export function wireguard(device: DeviceInput<"wireguard">, input: Rest = {}): NetworkInput {
  return { device: { kind: "wireguard", ...device }, ...input };
}
