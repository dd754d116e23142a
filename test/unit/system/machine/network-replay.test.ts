import { describe, expect, it } from "vitest";
import type { LinkFacts, RouteFacts } from "../../../../src/schema/facts.ts";
import { networkReplay } from "../../../../src/system/machine/network-replay.ts";

const link = (name: string, fields: Partial<LinkFacts> = {}): LinkFacts => ({
  name,
  mac: "52:54:00:AA:00:01",
  mtu: 1500,
  up: true,
  addresses: [],
  ...fields,
});
const route = (to: string, fields: Partial<RouteFacts> = {}): RouteFacts => ({
  to,
  link: "eth0",
  onLink: false,
  dynamic: false,
  ...fields,
});
const own = (address: string, prefix: number) => ({ address, prefix, dynamic: false });
const leased = (address: string, prefix: number) => ({ address, prefix, dynamic: true });

describe("networkReplay (F09)", () => {
  it("takes static addresses and routes over, links by their MAC in lower case", () => {
    const { replay, problems } = networkReplay({
      links: [link("eth0", { mtu: 1400, addresses: [own("192.0.2.5", 24), own("2001:db8::5", 64)] })],
      routes: [
        route("default", { via: "192.0.2.1", metric: 100 }),
        route("default", { via: "2001:db8::1" }),
        route("198.51.100.0/24", { link: "eth1" }),
      ],
      dns: ["192.0.2.53"],
    });
    expect(problems).toEqual([]);
    expect(replay).toEqual({
      links: [
        {
          name: "eth0",
          mac: "52:54:00:aa:00:01",
          mtu: 1400,
          dhcp4: false,
          addresses: [
            { address: "192.0.2.5", prefix: 24 },
            { address: "2001:db8::5", prefix: 64 },
          ],
          routes: [
            { to: "default", via: "192.0.2.1", onLink: false, metric: 100 },
            { to: "default", via: "2001:db8::1", onLink: false },
          ],
          given: { addresses: [], routes: [] },
        },
      ],
      dns: ["192.0.2.53"],
    });
  });

  it("asks a DHCP server where the old system did, and leaves its routes to it", () => {
    const { replay } = networkReplay({
      links: [link("eth0", { addresses: [leased("192.0.2.5", 24), own("2001:db8::5", 64)] })],
      routes: [
        route("default", { via: "192.0.2.1", dynamic: true }),
        route("198.51.100.0/24", { via: "192.0.2.1" }),
        route("default", { via: "2001:db8::1" }),
      ],
      dns: [],
    });
    expect(replay.links[0]).toMatchObject({
      dhcp4: true,
      addresses: [{ address: "2001:db8::5", prefix: 64 }],
      routes: [{ to: "default", via: "2001:db8::1" }],
      given: {
        addresses: [{ address: "192.0.2.5", prefix: 24 }],
        routes: [
          { to: "default", via: "192.0.2.1", onLink: false },
          { to: "198.51.100.0/24", via: "192.0.2.1", onLink: false },
        ],
      },
      metric: 0,
    });
  });

  it("does not ask for DHCP because of a router's advertisement, and keeps the address that came by it", () => {
    const { replay } = networkReplay({
      links: [link("eth0", { addresses: [leased("2001:db8::5", 64)] })],
      routes: [route("default", { via: "fe80::1", dynamic: true })],
      dns: [],
    });
    expect(replay.links[0]).toMatchObject({
      dhcp4: false,
      addresses: [],
      routes: [],
      given: {
        addresses: [{ address: "2001:db8::5", prefix: 64 }],
        routes: [{ to: "default", via: "fe80::1", onLink: false }],
      },
    });
  });

  it("lets out by DHCP only where the old system was let out, in its order", () => {
    const two = ["eth0", "eth1"].map((name, index) =>
      link(name, { mac: `52:54:00:aa:00:0${index}`, addresses: [leased(`192.0.2.${index}`, 24)] }),
    );
    const metrics = (routes: RouteFacts[]) =>
      networkReplay({ links: two, routes, dns: [] }).replay.links.map(({ metric }) => metric);
    const out = (name: string, metric?: number) =>
      route("default", {
        via: "192.0.2.1",
        link: name,
        dynamic: true,
        ...(metric === undefined ? {} : { metric }),
      });
    expect(metrics([out("eth1", 100)])).toEqual([undefined, 100]);
    expect(metrics([out("eth0", 200), out("eth1", 100)])).toEqual([200, 100]);
    expect(metrics([out("eth0")])).toEqual([0, undefined]);
    // It goes out by a table of its own: each may try, and none takes the other's place.
    expect(metrics([])).toEqual([1024, 1025]);
  });

  const facts = (links: LinkFacts[], routes: RouteFacts[] = []) => ({ links, routes, dns: [] });
  const card = (number: number, fields: Partial<LinkFacts> = {}) =>
    link(`eth${number}`, { mac: `52:54:00:aa:00:0${number}`, ...fields });
  const bond = (members: string[], fields: Partial<LinkFacts> = {}) =>
    link("bond0", {
      ...{ kind: "bond", mac: "52:54:00:aa:00:00" },
      device: { kind: "bond", options: { mode: "active-backup" }, members },
      ...fields,
    });
  const vlan = (on: string, fields: Partial<LinkFacts> = {}) =>
    link("v20", { kind: "vlan", device: { kind: "vlan", id: 20, link: on }, ...fields });
  const bridge = (members: string[], fields: Partial<LinkFacts> = {}, vlanFiltering = false) =>
    link("br0", {
      kind: "bridge",
      device: { kind: "bridge", stp: false, vlanFiltering, members },
      ...fields,
    });
  const names = (given: ReturnType<typeof networkReplay>) => given.replay.links.map(({ name }) => name);
  const way = { addresses: [own("192.0.2.5", 24)] };

  it("takes a whole stack over, each link after those that it is made of", () => {
    const given = networkReplay(
      facts(
        [
          bridge(["v20", "tap0"], way),
          vlan("bond0", { master: "br0" }),
          bond(["eth0", "eth1"], { mtu: 9000 }),
          link("tap0", { kind: "tun", master: "br0" }),
          card(1, { master: "bond0" }),
          card(0, { master: "bond0" }),
          card(2),
        ],
        [route("default", { via: "192.0.2.1", link: "br0" })],
      ),
      { address: "192.0.2.5", link: "br0" },
    );
    expect(given.problems).toEqual([]);
    expect(names(given)).toEqual(["eth0", "eth1", "bond0", "v20", "br0"]);
    expect(given.replay.links.map(({ device }) => device)).toEqual([
      ...[undefined, undefined],
      { kind: "bond", options: { mode: "active-backup" }, members: ["eth0", "eth1"] },
      { kind: "vlan", id: 20, link: "bond0" },
      // What ends in a guest is gone with it.
      { kind: "bridge", stp: false, vlanFiltering: false, members: ["v20"] },
    ]);
    expect(given.replay.links.map(({ mtu }) => mtu)).toEqual([1500, 1500, 9000, 1500, 1500]);
  });

  it("takes a bridge that keeps VLANs apart for its guests, but not one that does so for cards", () => {
    const apart = (members: string[]) => {
      const device = {
        kind: "bridge" as const,
        stp: false,
        vlanFiltering: true,
        sameUntagged: true as const,
        members,
      };
      return networkReplay(
        facts([
          link("br0", { kind: "bridge", device, ...way }),
          card(0),
          card(1),
          link("tap0", { kind: "tun" }),
        ]),
      );
    };
    expect(names(apart(["eth0", "tap0"]))).toEqual(["eth0", "br0"]);
    expect(apart(["eth0", "tap0"]).problems).toEqual([]);
    expect(apart(["eth0", "eth1"]).left).toEqual(["br0, a bridge that keeps VLANs apart"]);
  });

  it("keeps a bond of which a card can be had", () => {
    const given = networkReplay(
      facts([bond(["eth0", "ib0"], way), card(0, { master: "bond0" }), link("ib0", { kind: "infiniband" })]),
    );
    expect(given.replay.links.at(-1)).toMatchObject({ device: { members: ["eth0"] } });
  });

  const wg = link("wg0", { kind: "wireguard", mac: "", addresses: [own("198.51.100.2", 24)] });
  const out = (name: string) => route("default", { via: "192.0.2.1", link: name });
  it.each<[string, LinkFacts[], RouteFacts[], { address: string; link?: string }, RegExp]>([
    [
      "a VPN as the only way out",
      [card(0, way), wg],
      [route("default", { link: "wg0" })],
      { address: "192.0.2.5" },
      /^the default route leaves by wg0, a wireguard, which/,
    ],
    [
      "an operator beyond a VPN",
      [card(0, way), wg],
      [out("eth0")],
      { address: "198.51.100.2" },
      /reached by its address 198\.51\.100\.2, which is on wg0, a wireguard: the base/,
    ],
    [
      "a way back by a VPN alone",
      [card(0, way), wg],
      [out("eth0")],
      { address: "192.0.2.5", link: "wg0" },
      /^the way back to you leaves by wg0, a wireguard, which/,
    ],
    [
      "a team",
      [link("team0", { kind: "team", ...way })],
      [out("team0")],
      { address: "" },
      /leaves by team0, a team,/,
    ],
    [
      "a radio",
      [card(0, { kind: "wlan", ...way })],
      [out("eth0")],
      { address: "" },
      /leaves by eth0, a wlan,/,
    ],
    [
      "a card in a VRF",
      [card(0, { master: "red", ...way }), link("red", { kind: "vrf" })],
      [out("eth0")],
      { address: "" },
      /leaves by eth0, a part of red, a vrf,/,
    ],
    [
      "a VLAN on a team",
      [vlan("team0", way), link("team0", { kind: "team" })],
      [out("v20")],
      { address: "" },
      /leaves by v20, a VLAN on team0, a team,/,
    ],
    [
      "a bridge with VLANs of its own",
      [bridge(["eth0"], way, true), card(0, { master: "br0" })],
      [out("br0")],
      { address: "" },
      /leaves by br0, a bridge that keeps VLANs apart,/,
    ],
    [
      "a bridge of guests",
      [
        card(0, way),
        bridge(["tap0"], { addresses: [own("198.51.100.1", 24)] }),
        link("tap0", { kind: "tun" }),
      ],
      [out("eth0")],
      { address: "198.51.100.1" },
      /on br0, a bridge of tap0, a tun: the base/,
    ],
    [
      "a ring, as no kernel makes it",
      [vlan("br0", way), bridge(["v20"])],
      [out("v20")],
      { address: "" },
      /leaves by v20, a VLAN on br0, a bridge of v20, which is made of itself,/,
    ],
    [
      "an address of no link",
      [card(0, way)],
      [out("eth0")],
      { address: "100.64.0.7" },
      /on no network card: the base/,
    ],
    [
      "its own address",
      [card(0, way)],
      [out("eth0")],
      { address: "127.0.0.1" },
      /on no network card: the base/,
    ],
    [
      "no address at all",
      [card(0)],
      [],
      { address: "" },
      /^no network card with a global address was found$/,
    ],
    [
      "no link at all",
      [],
      [],
      { address: "" },
      /^no network card was seen at all: `ip`, of the package iproute2,/,
    ],
    [
      "two cards with one MAC at places that are not known",
      ["eth0", "eth1"].map((name) => link(name, way)),
      [],
      { address: "" },
      /^two network cards answer to 52:54:00:aa:00:01, so/,
    ],
  ])("refuses %s, by the link's name", (_what, links, routes, reached, problem) => {
    const { problems } = networkReplay(facts(links, routes), reached);
    expect(problems).toEqual([expect.stringMatching(problem)]);
  });

  it("says what is left out, where nothing needs it", () => {
    const links = [
      card(0, way),
      wg,
      bridge([], { name: "docker0", addresses: [own("198.51.100.1", 24)] }),
      card(2, { up: false, addresses: [own("203.0.113.5", 24)] }),
    ];
    const routes = [out("eth0"), route("203.0.113.0/24", { link: "wg0" })];
    const given = networkReplay(facts(links, routes), { address: "192.0.2.5", link: "eth0" });
    expect(given.problems).toEqual([]);
    expect(given.left).toEqual(["wg0, a wireguard", "docker0, a bridge of no card"]);
    expect(names(given)).toEqual(["eth0"]);
  });

  it.each(["192.0.2.5", "::ffff:192.0.2.5", "2001:db8::5", "fe80::5054:ff:fe12:3456%eth0", ""])(
    "has nothing against being reached at %j",
    (address) => {
      const links = [card(0, { addresses: [own("192.0.2.5", 24), leased("2001:db8::5", 64)] })];
      expect(networkReplay(facts(links, [out("eth0")]), { address }).problems).toEqual([]);
    },
  );

  it("knows cards with the same MAC by their places", () => {
    const twin = (name: string, path: string) => link(name, { path, ...way });
    const given = networkReplay(
      facts([twin("eth0", "pci0000:00/0000:00:03.0"), twin("eth1", "pci0000:00/0000:00:04.0")]),
    );
    expect(given.problems).toEqual([]);
    expect(given.replay.links.map(({ path }) => path)).toEqual([
      "pci0000:00/0000:00:03.0",
      "pci0000:00/0000:00:04.0",
    ]);
    const alone = networkReplay(facts([twin("eth0", "pci0000:00/0000:00:03.0")]));
    expect(alone.replay.links[0]).not.toHaveProperty("path");
  });

  it("sets routes last that need more than their link, and rules as they are", () => {
    const rules = [{ family: 4 as const, priority: 100, words: ["from", "192.0.2.5", "lookup", "7"] }];
    const lo = link("lo", {
      kind: "loopback",
      mac: "",
      addresses: [own("203.0.113.9", 32), own("203.0.113.10", 32)],
    });
    const hops = [
      { via: "192.0.2.1", link: "eth0", onLink: false },
      { via: "192.0.2.2", link: "eth0", onLink: false, weight: 3 },
    ];
    const { replay } = networkReplay({
      links: [card(0, way), lo],
      routes: [
        route("default", { via: "192.0.2.1", src: "203.0.113.9" }),
        route("default", { via: "192.0.2.1", table: 7, src: "192.0.2.5" }),
        route("198.51.100.0/24", { hops }),
        route("198.51.100.0/25", { link: "lo", refuses: "blackhole" }),
      ],
      dns: [],
      rules,
    });
    expect(replay.links.map(({ name, addresses, routes }) => ({ name, addresses, routes }))).toEqual([
      { name: "lo", addresses: [{ address: "203.0.113.9", prefix: 32 }], routes: [] },
      {
        name: "eth0",
        addresses: [{ address: "192.0.2.5", prefix: 24 }],
        routes: [{ to: "default", via: "192.0.2.1", onLink: false, table: 7, src: "192.0.2.5" }],
      },
    ]);
    expect(replay.rules).toEqual(rules);
    expect(replay.routes).toEqual([
      { to: "default", via: "192.0.2.1", onLink: false, src: "203.0.113.9", link: "eth0" },
      { to: "198.51.100.0/24", onLink: false, hops },
      { to: "198.51.100.0/25", onLink: false, refuses: "blackhole" },
    ]);
  });
});
