import { describe, expect, it } from "vitest";
import { bond, bridge, vlan, wireguard } from "../../../../src/dsl/network.ts";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { checkBySchema } from "../../../../src/operator/definition/problems.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const told = (link: object) =>
  checkSpec(serverSpec({ network: { lan: { match: { name: "en*" }, ...link } } } as never))
    .map(({ path, message }) => `${path.join(".")}: ${message}`)
    .filter((one) => one.includes("gateway"));

describe("checkSpec of a network", () => {
  it.each([
    ["in a prefix", { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] }],
    ["in the second prefix", { addresses: ["198.51.100.7/32", "192.0.2.10/24"], gateway: ["192.0.2.1"] }],
    ["in a prefix of IPv6", { addresses: ["2001:db8:0:1::10/64"], gateway: ["2001:db8:0:1::1"] }],
    ["of the link alone", { addresses: ["2001:db8::10/128"], gateway: ["fe80::1"] }],
    ["of the link, which has no addresses yet", { gateway: ["fe80::1"], dhcp: "no" }],
    [
      "outside, and said to be",
      { addresses: ["192.0.2.10/32"], gateway: ["198.51.100.1"], gatewayOnLink: true },
    ],
    ["in a prefix that DHCP will give", { dhcp: "yes", gateway: ["192.0.2.1", "2001:db8::1"] }],
    [
      "of both families",
      { addresses: ["192.0.2.10/24", "2001:db8::10/64"], gateway: ["192.0.2.1", "2001:db8::1"] },
    ],
  ])("takes a gateway %s", (_what, link) => {
    expect(told(link)).toEqual([]);
  });

  it.each([
    ["outside the prefix", { addresses: ["192.0.2.10/24"], gateway: ["198.51.100.1"] }],
    ["of a host's own prefix", { addresses: ["192.0.2.10/32"], gateway: ["192.0.2.1"] }],
    ["of IPv6 outside the prefix", { addresses: ["2001:db8:0:1::10/64"], gateway: ["2001:db8:0:2::1"] }],
    ["of the other family", { addresses: ["192.0.2.10/24"], gateway: ["2001:db8::1"] }],
    ["beside DHCP of the other family", { dhcp: "ipv6", gateway: ["192.0.2.1"] }],
    ["without any address", { gateway: ["192.0.2.1"] }],
  ])("refuses a gateway %s, and says what to do", (_what, link) => {
    expect(told(link)).toEqual([
      expect.stringMatching(
        /^network\.lan\.gateway\.0: .* is in none of the prefixes .*`gatewayOnLink: true`$/,
      ),
    ]);
  });
});

const key = (last: string) => `${"A".repeat(42)}${last}=`;
const all = (change: Partial<SpecInput>) =>
  checkSpec(serverSpec({ packages: { install: ["sudo"] }, ...change })).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );
const card = (name: string) => ({ match: { name } });
const keyFile = {
  file: "vpn.age",
  path: "/etc/systemd/network/vpn.key",
  group: "systemd-network",
  mode: "0640",
};
const tunnel = wireguard({
  privateKeySecret: "vpn",
  peers: [{ publicKey: key("A"), allowedIps: ["10.9.0.0/24"] }],
});

describe("checkSpec of links that are made", () => {
  it("takes a whole server's: bonds, VLANs on them, bridges upon those, WireGuard, routes", () => {
    expect(
      all({
        network: {
          port1: card("enp1s0"),
          port2: card("enp2s0"),
          uplink: bond(
            { mode: "802.3ad", links: ["port1", "port2"], lacpRate: "fast", hashPolicy: "layer3+4" },
            { mtu: 9000 },
          ),
          v40: vlan({ id: 40, link: "uplink" }, { mtu: 9000 }),
          v41: vlan({ id: 41, link: "uplink" }, { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"] }),
          q: vlan({ id: 40, link: "v41" }),
          guests: bridge({ links: ["v40"] }, { addresses: ["10.7.0.1/24", "fe80::1/64"] }),
          inside: bridge({}, { addresses: ["10.8.0.1/24", "fe80::1/64"] }),
          vpn: {
            ...tunnel,
            addresses: ["10.9.0.1/24"],
            routes: [
              { destination: "198.51.100.0/24" },
              { destination: "default", gateway: "10.9.0.2", metric: 500 },
              { destination: "203.0.113.0/24", gateway: "172.31.1.1", onLink: true },
            ],
          },
        },
        secrets: { vpn: keyFile },
      }),
    ).toEqual([]);
  });

  it.each<[string, NonNullable<SpecInput["network"]>, string[]]>([
    [
      "a VLAN on what is not there",
      { lan: card("a"), v: vlan({ id: 4, link: "wan" }) },
      ["network.v.device.link: `wan` is not in `network`: lan, v"],
    ],
    [
      "a VLAN on a tunnel",
      { t: tunnel, v: vlan({ id: 4, link: "t" }) },
      ["network.v.device.link: `t` is a wireguard; a vlan takes card, bond, bridge, vlan"],
    ],
    [
      "a bond of what is no card",
      { lan: card("a"), v: vlan({ id: 4, link: "lan" }), b: bond({ mode: "802.3ad", links: ["v"] }) },
      ["network.b.device.links.0: `v` is a vlan; a bond takes card"],
    ],
    [
      "a link in two bridges",
      { lan: card("a"), b: bridge({ links: ["lan"] }), c: bridge({ links: ["lan"] }) },
      ["network.c.device.links.0: `lan` is a part of `b` already"],
    ],
    [
      "a link twice in a bond",
      { lan: card("a"), b: bond({ mode: "802.3ad", links: ["lan", "lan"] }) },
      ["network.b.device.links.1: `lan` is a part of `b` already"],
    ],
    [
      "a part with addresses of its own",
      {
        lan: { ...card("a"), dhcp: "ipv6", addresses: ["192.0.2.1/24"], dns: ["192.0.2.53"] },
        b: bond({ mode: "balance-rr", links: ["lan"] }),
      },
      [
        "network.lan.addresses: `lan` is a part of `b`, which has them instead",
        "network.lan.dhcp: `lan` is a part of `b`, which has them instead",
      ],
    ],
    [
      "a VLAN on a part of a bond",
      {
        lan: card("a"),
        b: bond({ mode: "balance-rr", links: ["lan"] }),
        v: vlan({ id: 4, link: "lan" }),
      },
      ["network.v.device.link: is a part of the bond `b`, which carries VLANs instead"],
    ],
    [
      "a circle",
      { v: vlan({ id: 4, link: "b" }), b: bridge({ links: ["v"] }) },
      ["network.v.device: is laid on itself: v on b on v"],
    ],
    ["a VLAN on itself", { v: vlan({ id: 4, link: "v" }) }, ["network.v.device: is laid on itself: v on v"]],
    [
      "a VLAN with more MTU than its link",
      { lan: card("a"), v: vlan({ id: 4, link: "lan" }, { mtu: 9000 }) },
      ["network.v.mtu: 9000 is more than the 1500 of `lan`, which carries it"],
    ],
    [
      "the same VLAN twice",
      { lan: card("a"), v: vlan({ id: 4, link: "lan" }), w: vlan({ id: 4, link: "lan" }) },
      ["network.w.device.id: 4 is the VLAN `v` of `lan` too"],
    ],
    [
      "words of another mode, and a primary from elsewhere",
      {
        lan: card("a"),
        b: bond({ mode: "active-backup", links: ["lan"], lacpRate: "fast", primary: "wan" }),
      },
      [
        "network.b.device.lacpRate: active-backup has none; accepted with 802.3ad",
        "network.b.device.primary: `wan` is not among its links: lan",
      ],
    ],
    [
      "a name that the kernel does not take",
      { "a-very-long-name": bridge(), lo: bridge() },
      [
        "network.a-very-long-name: a-very-long-name would be the name of a bridge; needs at most 15 characters, and none of lo, all, default",
        "network.lo: lo would be the name of a bridge; needs at most 15 characters, and none of lo, all, default",
      ],
    ],
    [
      "a MAC of a tunnel",
      { t: { ...tunnel, mac: "02:00:00:00:00:01" } },
      ["network.t.mac: a wireguard has none"],
    ],
    [
      "routes whose gateway is out of reach, or missing",
      {
        lan: {
          ...card("a"),
          addresses: ["192.0.2.10/24"],
          routes: [{ destination: "203.0.113.0/24", gateway: "198.51.100.1" }, { destination: "default" }],
        },
      },
      [
        "network.lan.routes.0.gateway: 198.51.100.1 is in none of the prefixes of `addresses` (192.0.2.10/24); a gateway outside of them needs `onLink: true`",
        `network.lan.routes.1.destination: "default" needs a \`gateway\`; without one, "0.0.0.0/0" or "::/0" is all of the link's`,
      ],
    ],
    [
      "two cards with one match, and an address on two",
      {
        a: { ...card("en*"), addresses: ["192.0.2.10/24", "2001:db8::1/64"] },
        b: { ...card("en*"), addresses: ["2001:0db8:0::1/48"] },
        c: { match: { name: "en*", mac: "02:00:00:00:00:01" } },
      },
      [
        "network.b.match: en* is that of `a` too; needs one of its own",
        "network.b.addresses.0: 2001:db8::1 is that of `a` too; needs one of its own",
      ],
    ],
    [
      "a peer twice",
      {
        t: wireguard({
          privateKeySecret: "vpn",
          peers: [
            { publicKey: key("A"), allowedIps: ["10.9.0.2/32"] },
            { publicKey: key("A"), allowedIps: ["10.9.0.3/32"] },
          ],
        }),
      },
      ["network.t.device.peers.1.publicKey: is that of another peer too; needs one of its own"],
    ],
  ])("refuses %s", (_what, network, problems) => {
    expect(all({ network, secrets: { vpn: keyFile } })).toEqual(problems);
  });

  it.each<[string, NonNullable<SpecInput["secrets"]>, string]>([
    ["that is not there", {}, "`vpn` needs an entry of that name in secrets, which has none"],
    [
      "without a path",
      { vpn: { file: "vpn.age" } },
      'the secret `vpn` needs a `path`, as "/etc/systemd/network/vpn.key"',
    ],
    [
      "that only root reads",
      { vpn: { file: "vpn.age", path: "/etc/vpn" } },
      'the secret `vpn` is read by systemd-networkd; it needs `group: "systemd-network", mode: "0640"`',
    ],
    [
      "of the right group, which may not read it",
      { vpn: { ...keyFile, mode: "0600" } },
      'the secret `vpn` is read by systemd-networkd; it needs `group: "systemd-network", mode: "0640"`',
    ],
    [
      "at a path that a unit cannot name",
      { vpn: { ...keyFile, path: "/etc/a b" } },
      "the secret `vpn` is named in a unit, so its `path` may hold letters, digits and `_.@+-/` only",
    ],
  ])("refuses a key %s, and says what to write", (_what, secrets, message) => {
    expect(all({ network: { t: tunnel }, secrets })).toEqual([
      `network.t.device.privateKeySecret: ${message}`,
    ]);
  });

  it("takes a key that networkd's own user has", () => {
    const own = { file: "vpn.age", path: "/etc/vpn", owner: "systemd-network" };
    expect(all({ network: { t: tunnel }, secrets: { vpn: own } })).toEqual([]);
  });
});

describe("the schema of a network", () => {
  it.each([
    ["neither card nor device", {}, /needs `match` for a card .* or `device`/],
    ["both", { match: { name: "a" }, device: { kind: "bridge" } }, /needs `match` .* or `device`/],
    ["a VLAN's id out of range", vlan({ id: 4095, link: "a" }), /at most 4094/],
    ["a VLAN's id of 0", vlan({ id: 0, link: "a" }), /at least 1/],
    ["a kind that is not known", { device: { kind: "vxlan" } }, /vlan.*bond.*bridge.*wireguard/],
    [
      "another kind's words",
      { device: { kind: "vlan", id: 4, link: "a", mode: "x" } },
      /unknown key; .*id, link/,
    ],
    [
      "a key that is none",
      wireguard({ privateKeySecret: "vpn", peers: [{ publicKey: "abc", allowedIps: ["10.9.0.0/24"] }] }),
      /as `wg pubkey` prints it/,
    ],
  ])("refuses %s, and says what is accepted", (_what, link, message) => {
    const checked = checkBySchema(Spec, { hostname: "web", network: { x: link } });
    const problems = "problems" in checked ? checked.problems : [];
    expect(problems.map((one) => one.message).join("\n")).toMatch(message);
    expect(problems[0]?.path.slice(0, 2)).toEqual(["network", "x"]);
  });
});
