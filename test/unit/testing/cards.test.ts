import { describe, expect, it } from "vitest";
import { bond, bridge, vlan } from "../../../src/dsl/network.ts";
import { networkFiles } from "../../../src/operator/plan/network-files.ts";
import type { SpecInput } from "../../../src/schema/spec.ts";
import { cardsOf, onDeclared } from "../../../src/testing/cards.ts";
import { readNetworkd } from "../../../src/testing/networkd.ts";
import { makeSwitch } from "../../../src/vm/network/switch.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";

const folder = "/etc/systemd/network";

/** What a definition with these networks, and these files beside them, declares. */
function declared(network: NonNullable<SpecInput["network"]>, files: Readonly<Record<string, string>> = {}) {
  const own = Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text] as const);
  const made = networkFiles(serverSpec({ network })).map(({ path, content }) => [path, content] as const);
  return readNetworkd(new Map([...made, ...own]));
}

const match = { name: "en*" };
const one = (network: Omit<NonNullable<SpecInput["network"]>[string], "match">) =>
  cardsOf(declared({ ethernet: { match, ...network } }));

describe("cardsOf", () => {
  it("leaves DHCP to QEMU's own network, and so a definition that declares none", () => {
    expect(one({ dhcp: "yes" })).toEqual([{ network: "internet", segments: [{}] }]);
    expect(cardsOf(declared({}))).toEqual([{ network: "internet" }]);
    expect(
      cardsOf(declared({ a: { match, dhcp: "yes" }, b: { match: { name: "eth*" }, dhcp: "yes" } })),
    ).toHaveLength(1);
  });

  it("puts a static address into its subnet, with its gateway and resolver", () => {
    const addresses = { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"], dns: ["192.0.2.53"] };
    expect(one(addresses)[0]?.segments).toEqual([
      {
        ipv4: { network: "192.0.2.0/24", host: "192.0.2.1", dns: "192.0.2.53", dhcpStart: "192.0.2.10" },
        guest: "192.0.2.10",
      },
    ]);
  });

  it("has the IPv6 of the definition beside its IPv4", () => {
    expect(
      one({
        addresses: ["192.0.2.10/24", "2001:db8:7::10/64"],
        gateway: ["192.0.2.1", "2001:db8:7::1"],
      })[0]?.segments,
    ).toMatchObject([
      {
        ipv4: { network: "192.0.2.0/24", host: "192.0.2.1" },
        ipv6: { prefix: "2001:db8:7::", length: 64, host: "2001:db8:7::1" },
        guest: "192.0.2.10",
      },
    ]);
  });

  it("has a guest of IPv6 alone be reached through an address that is not its own", () => {
    const [card] = one({ addresses: ["2001:db8:7::10/64"], gateway: ["2001:db8:7::1"] });
    expect(card?.segments).toEqual([
      {
        ipv4: { network: "10.0.2.0/24", host: "10.0.2.2", dns: "10.0.2.3", dhcpStart: "10.0.2.15" },
        ipv6: { prefix: "2001:db8:7::", length: 64, host: "2001:db8:7::1" },
        guest: "10.0.2.15",
        guest6: "2001:db8:7::10",
      },
    ]);
  });

  it.each([
    ["a gateway outside of /32", ["203.0.113.5/32"], "172.31.1.1", "172.31.1.0/24", "172.31.1.1"],
    ["a gateway outside of /24", ["203.0.113.5/24"], "198.51.100.254", "198.51.100.0/24", "198.51.100.254"],
    ["the other of /31", ["203.0.113.5/31"], "203.0.113.4", "203.0.113.4/31", "203.0.113.4"],
    [
      "the gateway's among several",
      ["198.51.100.7/32", "203.0.113.5/25"],
      "203.0.113.1",
      "203.0.113.0/25",
      "203.0.113.1",
    ],
    ["none, and makes one up that is free", ["203.0.113.1/24"], undefined, "203.0.113.0/24", "203.0.113.2"],
    ["a subnet with QEMU's own resolver in it", ["10.0.2.3/16"], "10.0.0.1", "10.0.0.0/16", "10.0.0.1"],
  ])("answers to %s", (_what, addresses, gateway, network, host) => {
    const [segment] = one({ addresses, gateway: gateway ? [gateway] : [], gatewayOnLink: true })[0]!
      .segments!;
    expect(segment?.ipv4).toMatchObject({ network, host });
    const { dns, dhcpStart } = segment!.ipv4!;
    // QEMU refuses a host that is one of them, and would answer for a resolver that is the guest.
    expect([host, segment!.guest]).not.toContain(dns);
    expect([host, dns]).not.toContain(dhcpStart);
    expect(addresses.map((address) => address.split("/")[0])).toContain(segment!.guest);
  });

  it.each([
    ["2001:db8:7::1/64", "fe80::1", "fec0::", "fec0::1"],
    ["2001:db8:7::2/64", "fe80::1", "2001:db8:7::", "2001:db8:7::1"],
    ["2001:db8:7::5/128", "2001:db8:ff::1", "2001:db8:ff::", "2001:db8:ff::1"],
    ["2001:db8:7::5/127", "2001:db8:7::4", "2001:db8:7::4", "2001:db8:7::4"],
    ["2001:db8:7::1/64", undefined, "2001:db8:7::", "2001:db8:7::2"],
  ])("answers as the gateway of %s: %s", (address, gateway, prefix, host) => {
    const [card] = one({ addresses: ["192.0.2.10/24", address], gateway: gateway ? [gateway] : [] });
    expect(card?.segments?.[0]?.ipv6).toMatchObject({ prefix, host });
  });

  it("gives each declared card its own, with the address or the name that it is known by", () => {
    const cards = cardsOf(
      declared({
        private: { match: { mac: "52:54:00:00:00:07" }, addresses: ["10.7.0.2/24"] },
        public: { match: { name: "eno1" }, addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] },
      }),
    );
    expect(cards).toMatchObject([
      { mac: "52:54:00:00:00:07", segments: [{ guest: "10.7.0.2" }] },
      { name: "eno1", segments: [{ guest: "192.0.2.10" }] },
    ]);
  });

  it("has what is declared for a bond, a bridge upon it, and a VLAN in the bridge, on the cards' cables", () => {
    const mac = (last: number) => ({ match: { mac: `52:54:00:00:00:0${last}` } });
    const cards = cardsOf(
      declared({
        port1: mac(1),
        port2: mac(2),
        uplink: bond({ mode: "active-backup", links: ["port1", "port2"] }),
        v40: vlan({ id: 40, link: "uplink" }),
        guests: bridge({ links: ["v40"] }, { addresses: ["10.7.0.2/24"] }),
        outside: bridge({ links: ["uplink"] }, { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] }),
      }),
    );
    const segments = [{ guest: "192.0.2.10" }, { vlan: 40, guest: "10.7.0.2" }];
    expect(cards).toMatchObject([
      { mac: "52:54:00:00:00:01", segments },
      { mac: "52:54:00:00:00:02", segments },
    ]);
  });

  it("has old names where the command line asks for them", () => {
    const network = declared({ ethernet: { match: { name: "eth0" }, addresses: ["192.0.2.10/24"] } });
    expect(cardsOf(network, ["net.ifnames=0"])).toMatchObject([{ segments: [{ guest: "192.0.2.10" }] }]);
    expect(cardsOf(network, ["net.ifnames=0"])[0]).not.toHaveProperty("name");
    expect(cardsOf(network)).toMatchObject([{ name: "eth0" }]);
  });

  it("finds VLANs, bonds and what drop-ins add in files of the definition's own", () => {
    const vlan = { "20-v40.netdev": "[NetDev]\nName=v40\nKind=vlan\n\n[VLAN]\nId=40\n" };
    const on = {
      "30-v40.network": "[Match]\nName=v40\n[Network]\nAddress=192.0.2.10/24\n[Route]\nGateway=192.0.2.1\n",
    };
    const dropIn = { "10-ethernet.network.d/vlan.conf": "# more\n[Network]\nVLAN=v40\n" };
    const cards = cardsOf(declared({ ethernet: { match } }, { ...vlan, ...on, ...dropIn }));
    expect(cards).toHaveLength(1);
    expect(cards[0]?.segments).toMatchObject([
      { vlan: 40, ipv4: { network: "192.0.2.0/24", host: "192.0.2.1" }, guest: "192.0.2.10" },
    ]);
    const both = cardsOf(declared({ ethernet: { match, dhcp: "yes" } }, { ...vlan, ...on, ...dropIn }));
    expect(both[0]?.segments).toMatchObject([{}, { vlan: 40 }]);
    const bond = {
      "10-part.network": "[Match]\nName=en*\n[Network]\nBond=bond0\n",
      "20-bond0.netdev": "[NetDev]\nName=bond0\nKind=bond\n",
      "30-bond0.network": "[Match]\nName=bond0\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n",
    };
    expect(cardsOf(declared({}, bond))).toMatchObject([{ segments: [{ guest: "192.0.2.10" }] }]);
  });
});

describe("onDeclared", () => {
  const network = declared({
    ethernet: { match: { name: "en*" }, addresses: ["192.0.2.10/24"] },
    other: { match: { mac: "52:54:00:00:00:07" }, addresses: ["10.7.0.2/24"] },
  });

  it("leaves a network of the lab as the test has it, and knows a card on the internet by its address or place", () => {
    const lan = { network: makeSwitch("lan") };
    expect(onDeclared(lan, 0, network)).toBe(lan);
    expect(onDeclared({ network: "internet" }, 0, network)).toMatchObject({
      segments: [{ guest: "192.0.2.10" }],
    });
    expect(onDeclared({ network: "internet", mac: "52:54:00:00:00:07" }, 1, network)).toMatchObject({
      segments: [{ guest: "10.7.0.2" }],
    });
  });
});
