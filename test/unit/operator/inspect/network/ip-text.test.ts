import { describe, expect, it } from "vitest";
import { parseNetwork } from "../../../../../src/operator/inspect/inspect-network.ts";

/** A host with BusyBox's `ip`, as Alpine has it. */
const busybox: Readonly<Record<string, string>> = {
  links: [
    "link eth0",
    "address 52:54:00:12:34:56",
    "mtu 1500",
    "flags 0x1003",
    "type 1",
    "dev_port 0",
    "path /sys/devices/pci0000:00/0000:00:03.0/virtio0",
    "accept_ra 1",
    "link eth0.20",
    "address 52:54:00:12:34:56",
    "mtu 1400",
    "flags 0x1003",
    "type 1",
    "devtype vlan",
    "vlan-id 20",
    "vlan-on eth0",
    "accept_ra 0",
    "link lo",
    "mtu 65536",
    "flags 0x9",
    "type 772",
  ].join("\n"),
  "ip-address": [
    "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever",
    "2: eth0    inet 192.0.2.5/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever",
    "3: eth0.20    inet 198.51.100.5 peer 198.51.100.6/32 scope global eth0.20\\       valid_lft forever",
    "3: eth0.20    inet6 fe80::5054:ff:fe12:3456/64 scope link \\       valid_lft forever",
  ].join("\n"),
  "ip-route4": [
    "default via 192.0.2.1 dev eth0  metric 202 ",
    "192.0.2.0/24 dev eth0 scope link  src 192.0.2.5 ",
    "unreachable 203.0.113.0/24  metric -16769024 ",
    "local 192.0.2.5 dev eth0 table local scope host  src 192.0.2.5 ",
    "default via 198.51.100.6 dev eth0.20 table uplink ",
  ].join("\n"),
  "ip-route6": "fe80::/64 dev eth0  metric 256 \nmulticast ff00::/8 dev eth0 table local  metric 256 ",
  "ip-rule4":
    "0:\tfrom all lookup local \n97:\tfrom all lookup unspec prohibit\n99:\tfrom 198.51.100.5 lookup uplink \n32766:\tfrom all lookup main \n32767:\tfrom all lookup default ",
  "route-tables": "255\tlocal\n254\tmain\n0\tunspec\n77\tuplink # by hand\n",
  udhcpc: "udhcpc -b -R -p /var/run/udhcpc.eth0.pid -i eth0 -x hostname:web ",
};
const parse = (change: Readonly<Record<string, string>> = {}) =>
  parseNetwork((name) => ({ ...busybox, ...change })[name] ?? "");

describe("a host whose `ip` prints text alone (F04, F09)", () => {
  it("shows its links by what the kernel has in files, and its addresses, routes and rules by that text", () => {
    expect(parse()).toEqual({
      links: [
        {
          ...{ name: "eth0", mac: "52:54:00:12:34:56", mtu: 1500, up: true },
          path: "pci0000:00/0000:00:03.0",
          // Its client for DHCP says nothing of a lease's end to the kernel.
          addresses: [{ address: "192.0.2.5", prefix: 24, dynamic: true }],
        },
        {
          ...{ name: "eth0.20", mac: "52:54:00:12:34:56", mtu: 1400, up: true },
          ...{ kind: "vlan", device: { kind: "vlan", id: 20, link: "eth0" }, acceptRa: false },
          addresses: [{ address: "198.51.100.5", prefix: 32, peer: "198.51.100.6", dynamic: false }],
        },
      ],
      routes: [
        { to: "default", via: "192.0.2.1", link: "eth0", onLink: false, dynamic: false, metric: 202 },
        {
          ...{ to: "203.0.113.0/24", link: "lo", onLink: false, dynamic: false },
          ...{ metric: 4278198272, refuses: "unreachable" },
        },
        { to: "default", via: "198.51.100.6", link: "eth0.20", onLink: false, dynamic: false, table: 77 },
      ],
      rules: [
        { family: 4, priority: 97, words: ["from", "all", "prohibit"] },
        { family: 4, priority: 99, words: ["from", "198.51.100.5", "lookup", "77"] },
      ],
    });
  });

  it("is refused where it hides the ways of its default route", () => {
    expect(() => parse({ "ip-route4": "default \n" })).toThrow(/does not show where its default route leads/);
  });
});

describe("a host whose `ip` prints JSON", () => {
  it("has no VLAN where the link below it is in another namespace, and a radio is no card", () => {
    const link = (ifname: string, more: object = {}) => ({
      ...{
        ifname,
        link_type: "ether",
        address: "52:54:00:12:34:56",
        mtu: 1500,
        flags: ["UP"],
        addr_info: [],
      },
      ...more,
    });
    const { links } = parse({
      links: "link wlan0\ndevtype wlan\npath /sys/devices/pci0000:00/0000:00:05.0",
      "ip-address": JSON.stringify([
        link("wlan0"),
        link("v5", { linkinfo: { info_kind: "vlan", info_data: { id: 5 } } }),
        link("v6", {
          link: "eth0",
          linkinfo: { info_kind: "vlan", info_data: { id: 6, protocol: "802.1ad" } },
        }),
        link("wg0", { link_type: "none", address: undefined, linkinfo: { info_kind: "wireguard" } }),
        link("ppp0", { link_type: "ppp", address: undefined }),
        link("eth1", { permaddr: "52:54:00:00:00:01" }),
      ]),
    });
    expect(
      links.map(({ name, kind, device, mac, address }) => ({ name, kind, device, mac, address })),
    ).toEqual([
      { name: "wlan0", kind: "wlan", device: undefined, mac: "52:54:00:12:34:56", address: undefined },
      { name: "v5", kind: "vlan", device: undefined, mac: "52:54:00:12:34:56", address: undefined },
      {
        ...{ name: "v6", kind: "vlan", mac: "52:54:00:12:34:56", address: undefined },
        device: { kind: "vlan", id: 6, link: "eth0", protocol: "802.1ad" },
      },
      { name: "wg0", kind: "wireguard", device: undefined, mac: "", address: undefined },
      { name: "ppp0", kind: "ppp", device: undefined, mac: "", address: undefined },
      {
        ...{ name: "eth1", kind: undefined, device: undefined },
        ...{ mac: "52:54:00:00:00:01", address: "52:54:00:12:34:56" },
      },
    ]);
  });

  it("says of a bridge that keeps VLANs apart whether frames without a tag pass it as they would another", () => {
    const bridged = (vlans: string) =>
      parse({
        links:
          "link br0\nbridge-stp_state 0\nbridge-vlan_filtering 1\nlink eth0\nmaster br0\npath /sys/devices/a\nlink tap0\nmaster br0\ndevtype tun",
        "ip-address": JSON.stringify(
          ["br0", "eth0", "tap0"].map((ifname) => ({ ifname, link_type: "ether", addr_info: [] })),
        ),
        "bridge-vlans": vlans,
      }).links[0]?.device;
    const port = (ifname: string, vlan: number, flags = ["PVID", "Egress Untagged"]) => ({
      ifname,
      vlans: [
        { vlan, flags },
        { vlan: 100, vlanEnd: 200 },
      ],
    });
    const plain = JSON.stringify([port("eth0", 1), port("br0", 1), port("tap0", 20)]);
    expect(bridged(plain)).toMatchObject({ vlanFiltering: true, sameUntagged: true });
    for (const other of [
      JSON.stringify([port("eth0", 20, []), port("br0", 20)]),
      JSON.stringify([port("eth0", 1), port("br0", 20)]),
      "port    vlan ids\nbr0      1 PVID Egress Untagged",
      "",
    ])
      expect(bridged(other)).not.toHaveProperty("sameUntagged");
  });
});
