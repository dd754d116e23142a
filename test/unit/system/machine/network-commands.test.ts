import { describe, expect, it } from "vitest";
import {
  joinCommands,
  linkCommands,
  makeCommand,
  missingCommands,
  nameOfMade,
  otherRouteCommand,
  ruleCommand,
  upCommand,
} from "../../../../src/system/machine/network-commands.ts";

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
    expect(missingCommands(both, "ens3", 4)[0]?.join(" ")).toBe(given.replace("replace", "add"));
    expect(missingCommands(both, "ens3", 6)).toEqual([]);
  });
});

describe("commands of a stack", () => {
  const inBase = (old: string) => ({ eth0: "ens3", eth1: "ens4" })[old] ?? old;
  const text = (argv: readonly (string | readonly string[])[]) =>
    argv.map((one) => (typeof one === "string" ? one : one.join(" ")));
  const bond = {
    kind: "bond" as const,
    options: { mode: "802.3ad", miimon: "100", lacp_rate: "fast", primary: "eth1" },
    members: ["eth0", "eth1"],
  };

  it("make a bond, a VLAN and a bridge with the MAC that each had", () => {
    const mac = "52:54:00:aa:00:01";
    const made = [
      makeCommand(bond, "bond0", mac, inBase),
      makeCommand({ kind: "vlan", id: 20, link: "bond0" }, "v20", mac, inBase),
      makeCommand({ kind: "vlan", id: 4, protocol: "802.1ad", link: "eth0" }, "v4", "", inBase),
      makeCommand(
        { kind: "bridge", stp: true, forwardDelay: 200, priority: 4096, vlanFiltering: false, members: [] },
        ...(["br0", mac, inBase] as const),
      ),
    ];
    expect(text(made)).toEqual([
      "ip link add name bond0 address 52:54:00:aa:00:01 type bond mode 802.3ad miimon 100 lacp_rate fast",
      "ip link add link bond0 name v20 address 52:54:00:aa:00:01 type vlan protocol 802.1Q id 20",
      "ip link add link ens3 name v4 type vlan protocol 802.1ad id 4",
      "ip link add name br0 address 52:54:00:aa:00:01 type bridge stp_state 1 forward_delay 200 priority 4096",
    ]);
  });

  it("let members join, those of a bond while they are down", () => {
    expect(text(joinCommands(bond, "bond0", ["eth1", "ens4"]))).toEqual([
      "ip link set dev ens4 down",
      "ip link set dev ens4 master bond0",
      "ip link set dev bond0 type bond primary ens4",
    ]);
    const bridge = { kind: "bridge" as const, stp: false, vlanFiltering: false, members: ["eth0"] };
    expect(text(joinCommands(bridge, "br0", ["eth0", "ens3"]))).toEqual([
      "ip link set dev ens3 master br0",
      "ip link set dev ens3 up",
    ]);
  });

  it("give a made link another name where a card of the base has its own", () => {
    expect(nameOfMade("eth0", ["eth1"])).toBe("eth0");
    expect(nameOfMade("eth0", ["eth0", "made0"])).toBe("made1");
  });

  it("name links of rules and routes as they are called in the base", () => {
    const words = ["from", "192.0.2.0/24", "iif", "eth0", "lookup", "7"];
    const shown = [
      ruleCommand({ family: 4, priority: 99, words }, inBase),
      otherRouteCommand(
        { to: "default", via: "192.0.2.1", onLink: true, src: "203.0.113.9", link: "eth1" },
        inBase,
      ),
      otherRouteCommand({ to: "default", via: "fe80::1", family: 4, onLink: false, link: "eth1" }, inBase),
      otherRouteCommand(
        { to: "default", family: 6, refuses: "unreachable", table: 7, onLink: false },
        inBase,
      ),
      otherRouteCommand(
        {
          ...{ to: "198.51.100.0/24", onLink: false },
          hops: [
            { via: "192.0.2.1", link: "eth0", onLink: true },
            { link: "eth1", onLink: false, weight: 3 },
          ],
        },
        inBase,
      ),
    ];
    expect(text(shown)).toEqual([
      "ip -4 rule add priority 99 from 192.0.2.0/24 iif ens3 lookup 7",
      "ip route replace default via 192.0.2.1 dev ens4 onlink src 203.0.113.9",
      "ip route replace default via inet6 fe80::1 dev ens4",
      "ip -6 route replace unreachable default table 7",
      "ip route replace 198.51.100.0/24 nexthop via 192.0.2.1 dev ens3 onlink nexthop dev ens4 weight 3",
    ]);
  });
});
