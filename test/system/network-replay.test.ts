import { describe, expect, it } from "vitest";
import type { LinkFacts, RouteFacts } from "../../src/schema/facts.ts";
import { linkCommands, networkReplay } from "../../src/system/network-replay.ts";

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

describe("networkReplay", () => {
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
    });
  });

  it("does not ask for DHCP because of a router's advertisement", () => {
    const { replay } = networkReplay({
      links: [link("eth0", { addresses: [leased("2001:db8::5", 64)] })],
      routes: [],
      dns: [],
    });
    expect(replay.links[0]).toMatchObject({ dhcp4: false, addresses: [] });
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

describe("linkCommands", () => {
  it("sets addresses first, then the way to the gateway, then the routes through it", () => {
    const commands = linkCommands(
      {
        mac: "52:54:00:aa:00:01",
        mtu: 1500,
        dhcp4: false,
        addresses: [
          { address: "192.0.2.5", prefix: 32 },
          { address: "2001:db8::5", prefix: 64 },
        ],
        routes: [
          { to: "default", via: "203.0.113.1", onLink: true, metric: 7 },
          { to: "203.0.113.1/32", onLink: false },
          { to: "default", via: "fe80::1", onLink: false },
        ],
      },
      "ens3",
    );
    expect(commands.map((argv) => argv.join(" "))).toEqual([
      "ip link set dev ens3 mtu 1500 up",
      "ip address replace 192.0.2.5/32 dev ens3",
      "ip address replace 2001:db8::5/64 dev ens3 nodad",
      "ip route replace 203.0.113.1/32 dev ens3",
      "ip route replace default via 203.0.113.1 dev ens3 onlink metric 7",
      "ip -6 route replace default via fe80::1 dev ens3",
    ]);
  });
});
