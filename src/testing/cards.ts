import {
  type Address,
  isIn,
  isLinkLocal,
  networkOf,
  parseAddress,
  parseCidr,
  showAddress,
} from "../util/addresses.ts";
import type { MachineNic } from "../vm/machine/machine.ts";
import type { Segment } from "../vm/network/segment.ts";
import { type Declared, type DeclaredNetwork, isGlob, matches } from "./networkd.ts";

/** What the first card of a machine is called by the kernel, and by a command line that asks for old names. */
const firstName = "enp0s3";
const oldName = "eth0";
/** Of a gateway whose own prefix is not known. */
const gatewayPrefix = { 32: 24, 128: 64 } as const;
/** QEMU's network takes no longer prefix. */
const longest6 = 126;
/** For a resolver where a subnet has no place for one. */
const aside = ["10.0.2.3", "172.31.255.3"] as const;
/** Where QEMU's own network is, for a guest that has no IPv4, and for a prefix that no other uses. */
const inside4 = {
  network: "10.0.2.0/24",
  host: "10.0.2.2",
  dns: "10.0.2.3",
  dhcpStart: "10.0.2.15",
} as const;
const inside6 = "fec0::";

/** The cards that a definition's network asks for, each on the network that is declared for it; one with DHCP where nothing is declared. */
export function cardsOf(declared: Declared, cmdline: readonly string[] = []): MachineNic[] {
  const first = cmdline.includes("net.ifnames=0") ? oldName : firstName;
  const cards: MachineNic[] = [];
  const physical = declared.networks.filter((one) => !one.names.some((name) => declared.virtual.has(name)));
  const byGlob = physical.find((one) => one.macs.length === 0 && matches(one, { name: first }));
  // It has to be the first card, whose name is known.
  if (byGlob !== undefined) cards.push(cardOf(byGlob, declared, {}));
  for (const network of physical) {
    if (network === byGlob) continue;
    const [mac] = network.macs;
    const name = network.names.find((one) => !isGlob(one));
    // A link that an earlier file matches is not for this file.
    const isTaken = (earlier: DeclaredNetwork) =>
      matches(earlier, { ...(name && { name }), ...(mac && { mac }) });
    if (physical.slice(0, physical.indexOf(network)).some(isTaken)) continue;
    if (mac !== undefined || name !== undefined)
      cards.push(cardOf(network, declared, { ...(mac && { mac }), ...(name && { name }) }));
  }
  return cards.length === 0 ? [{ network: "internet" }] : cards;
}

/** The network that is declared for a card which the tests ask for. */
export function onDeclared(nic: MachineNic, index: number, declared: Declared): MachineNic {
  if (nic.network !== "internet" || nic.segments !== undefined) return nic;
  const link = { ...(index === 0 ? { name: firstName } : {}), ...(nic.mac && { mac: nic.mac }) };
  const network = declared.networks.find((one) => matches(one, link));
  return network === undefined ? nic : { ...nic, segments: segmentsOf(network, declared) };
}

function cardOf(
  network: DeclaredNetwork,
  declared: Declared,
  own: { readonly mac?: string; readonly name?: string },
): MachineNic {
  return { network: "internet", ...own, segments: segmentsOf(network, declared) };
}

/** What is on the cable: frames without a tag, then each VLAN. */
function segmentsOf(network: DeclaredNetwork, declared: Declared): Segment[] {
  const named = (name: string) => declared.networks.find((one) => one.names.includes(name));
  // A bond or a bridge has the addresses of its parts, and its VLANs are on their cable.
  const withMasters = (one: DeclaredNetwork, below: readonly DeclaredNetwork[] = []): DeclaredNetwork[] => {
    const masters = below.includes(one) ? [] : one.masters.flatMap((name) => named(name) ?? []);
    return [one, ...masters.flatMap((master) => withMasters(master, [...below, one]))];
  };
  const whole = withMasters(network);
  const untagged = segmentOf(whole);
  const vlans = whole
    .flatMap((one) => one.vlans)
    .flatMap((name): Segment[] => {
      const vlan = declared.vlanIds.get(name);
      const on = named(name);
      return vlan === undefined || on === undefined ? [] : [{ vlan, ...segmentOf(withMasters(on)) }];
    });
  // With nothing declared for them, frames without a tag go nowhere; but QEMU's own network is there for a card without VLANs.
  const isPlain = vlans.length === 0 || whole.some((one) => one.dhcp4 || one.addresses.length > 0);
  return [...(isPlain ? [untagged] : []), ...vlans];
}

function segmentOf(networks: readonly DeclaredNetwork[]): Segment {
  const addresses = networks.flatMap((one) => one.addresses).map(parseCidr);
  const gateways = networks.flatMap((one) => one.gateways).map(parseAddress);
  const dns = networks.flatMap((one) => one.dns).map(parseAddress);
  const dhcp4 = networks.some((one) => one.dhcp4);
  const of = (bits: 32 | 128) => ({
    addresses: addresses.filter(({ address }) => address.bits === bits && !isLinkLocal(address)),
    gateways: gateways.filter((gateway) => gateway.bits === bits),
  });
  const [four, six] = [of(32), of(128)];
  if (addresses.length === 0) return {};
  const ipv6 = six.addresses.length === 0 ? {} : { ipv6: subnet6(six) };
  if (four.addresses.length > 0) {
    const ipv4 = subnet4(four, dns, dhcp4);
    return { ipv4, ...ipv6, guest: showAddress(reached(four).address) };
  }
  if (dhcp4 || six.addresses.length === 0) return ipv6;
  // No address of QEMU's network is the guest's, which does not know of it.
  return {
    ipv4: inside4,
    ...ipv6,
    guest: inside4.dhcpStart,
    guest6: showAddress(reached(six).address),
  };
}

interface Family {
  readonly addresses: readonly { readonly address: Address; readonly length: number }[];
  readonly gateways: readonly Address[];
}

/** The address in the same subnet as a gateway, else the first. */
function reached({ addresses, gateways }: Family): Family["addresses"][number] {
  const near = addresses.find(({ address, length }) => gateways.some((one) => isIn(one, address, length)));
  return near ?? addresses[0]!;
}

function subnet4(family: Family, dns: readonly Address[], dhcp: boolean): NonNullable<Segment["ipv4"]> {
  const [gateway] = family.gateways;
  const { address, length } = reached(family);
  const isNear = gateway === undefined ? length < 31 : isIn(gateway, address, length);
  const [base, prefix] = isNear ? [address, length] : [gateway ?? address, gatewayPrefix[32]];
  const network = networkOf(base, prefix);
  const taken = family.addresses.map((one) => one.address.value);
  const host = gateway ?? free(network, prefix, taken) ?? network;
  const others = [...taken, host.value];
  const named = dns.find((one) => isIn(one, network, prefix) && !others.includes(one.value));
  // The smallest subnets have no address left.
  const resolver =
    named ??
    free(network, prefix, others) ??
    aside.map(parseAddress).find((one) => !isIn(one, network, prefix));
  const another = () => free(network, prefix, resolver === undefined ? others : [...others, resolver.value]);
  // Any client gets what the definition says: the host that a rehearsal begins with is reached there as well.
  const start = dhcp || !isIn(address, network, prefix) ? another() : address;
  return {
    network: `${showAddress(network)}/${prefix}`,
    host: showAddress(host),
    dns: showAddress(resolver ?? network),
    dhcpStart: showAddress(start ?? address),
  };
}

function subnet6(family: Family): NonNullable<Segment["ipv6"]> {
  const { address, length } = reached(family);
  const gateway = family.gateways.find((one) => !isLinkLocal(one)) ?? family.gateways[0];
  const taken = family.addresses.map((one) => one.address.value);
  const within = (prefix: Address, bits: number, host: Address) => ({
    prefix: showAddress(networkOf(prefix, bits)),
    length: bits,
    host: showAddress(host),
  });
  const bits = Math.min(length, longest6);
  if (gateway === undefined) {
    const network = networkOf(address, bits);
    return within(address, bits, free(network, bits, taken) ?? network);
  }
  if (!isLinkLocal(gateway)) {
    if (isIn(gateway, address, bits)) return within(address, bits, gateway);
    return within(gateway, gatewayPrefix[128], gateway);
  }
  // QEMU answers for fe80:: with the host's own part: that of the gateway, in a prefix where it is not the guest's.
  const part = gateway.value & ((1n << 64n) - 1n);
  const near = { bits: 128, value: networkOf(address, 64).value | part } as const;
  const far = { bits: 128, value: parseAddress(inside6).value | part } as const;
  return bits <= 64 && !taken.includes(near.value) ? within(address, 64, near) : within(far, 64, far);
}

/** The lowest address of a subnet that is not taken. */
function free({ bits, value }: Address, length: number, taken: readonly bigint[]): Address | undefined {
  const size = 1n << BigInt(bits - length);
  // The ends of a subnet that is large enough are its own address and the broadcast address.
  const [from, to] = size > 2n ? [1n, size - 1n] : [0n, size];
  for (let at = from; at < to; at += 1n) if (!taken.includes(value + at)) return { bits, value: value + at };
  return undefined;
}
