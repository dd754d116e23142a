import { describe, expect, it } from "vitest";
import type { LinkFacts, RouteFacts } from "../../../../src/schema/facts.ts";
import {
  linkCommands,
  networkReplay,
  reachProblem,
  upCommand,
} from "../../../../src/system/machine/network-replay.ts";

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
      given: { addresses: [{ address: "2001:db8::5", prefix: 64 }], routes: [] },
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

  it("refuses what the base cannot set up", () => {
    const bond = link("bond0", { kind: "bond", addresses: [own("192.0.2.5", 24)] });
    const over = [route("default", { via: "192.0.2.1", link: "bond0" })];
    expect(networkReplay({ links: [bond], routes: over, dns: [] }).problems).toEqual([
      "the default route leaves by bond0, a bond, which the base cannot set up yet",
    ]);
    expect(networkReplay({ links: [link("eth0")], routes: [], dns: [] }).problems).toEqual([
      "no network card with a global address was found",
    ]);
    expect(networkReplay({ links: [], routes: [], dns: [] }).problems).toEqual([
      "no network card was seen at all: `ip`, of the package iproute2, is what shows them",
    ]);
    const twins = ["eth0", "eth1"].map((name) => link(name, { addresses: [own("192.0.2.5", 24)] }));
    expect(networkReplay({ links: twins, routes: [], dns: [] }).problems).toEqual([
      "two network cards answer to 52:54:00:aa:00:01, so they cannot be told apart",
    ]);
  });

  it("passes over a bridge beside the way out", () => {
    const links = [
      link("eth0", { addresses: [own("192.0.2.5", 24)] }),
      link("br0", { kind: "bridge", addresses: [own("10.0.0.1", 24)] }),
    ];
    const { replay, problems } = networkReplay({ links, routes: [], dns: [] });
    expect(problems).toEqual([]);
    expect(replay.links).toHaveLength(1);
  });
});

describe("reachProblem", () => {
  const links = [
    link("eth0", { addresses: [own("192.0.2.5", 24), leased("2001:db8::5", 64)] }),
    link("br0", { kind: "bridge", addresses: [own("10.0.0.1", 24)] }),
  ];

  it.each(["192.0.2.5", "::ffff:192.0.2.5", "2001:db8::5", "fe80::5054:ff:fe12:3456%eth0", ""])(
    "is none at %j",
    (address) => {
      expect(reachProblem({ links }, address)).toBeUndefined();
    },
  );

  it.each([
    ["10.0.0.1", /10\.0\.0\.1, which is on br0, a bridge/],
    ["100.64.0.7", /100\.64\.0\.7, which is on no network card/],
    ["127.0.0.1", /no network card/],
  ])("is told at %s", (address, message) => {
    expect(reachProblem({ links }, address)).toMatch(message);
  });
});

describe("linkCommands", () => {
  const both = {
    mac: "52:54:00:aa:00:01",
    mtu: 1500,
    dhcp4: true,
    addresses: [
      { address: "192.0.2.5", prefix: 32 },
      { address: "2001:db8::5", prefix: 64 },
    ],
    routes: [
      { to: "default", via: "203.0.113.1", onLink: true, metric: 7 },
      { to: "203.0.113.1/32", onLink: false },
      { to: "default", via: "fe80::1", onLink: false },
    ],
    given: {
      addresses: [{ address: "198.51.100.9", prefix: 24 }],
      routes: [{ to: "default", via: "198.51.100.1", onLink: false, metric: 100 }],
    },
  };
  const shown = (answered: boolean) => linkCommands(both, "ens3", answered).map((argv) => argv.join(" "));

  it("sets addresses first, then the way to the gateway, then the routes through it", () => {
    expect(upCommand(both, "ens3").join(" ")).toBe("ip link set dev ens3 mtu 1500 up");
    expect(shown(true)).toEqual([
      "ip address replace 192.0.2.5/32 dev ens3",
      "ip address replace 2001:db8::5/64 dev ens3 nodad",
      "ip address replace 198.51.100.9/24 dev ens3",
      "ip route replace 203.0.113.1/32 dev ens3",
      "ip route replace default via 203.0.113.1 dev ens3 onlink metric 7",
      "ip -6 route replace default via fe80::1 dev ens3",
    ]);
  });

  it("sets the routes that DHCP had given where no server answers any more", () => {
    const given = "ip route replace default via 198.51.100.1 dev ens3 metric 100";
    expect(shown(true)).not.toContain(given);
    expect(shown(false)).toContain(given);
  });
});
