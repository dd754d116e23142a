import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bond, bridge, vlan, wireguard } from "../../../src/dsl/network.ts";
import { cardsHere, networkFor } from "../../../src/rescue/network.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const one = [{ mac: "52:54:00:00:00:01", names: ["eth0", "enp1s0"] }];
const two = [...one, { mac: "52:54:00:00:00:02", names: ["eth1", "enp2s0"] }];
const fixed = { addresses: ["192.0.2.10/24"], gateway: ["192.0.2.1"], dns: ["192.0.2.53"] };

describe("the network of a rescue medium's base", () => {
  it("is the definition's fixed addresses, on the card that udev would give that name", () => {
    const { replay, left } = networkFor(
      serverSpec({ network: { lan: { match: { name: "enp2*" }, ...fixed } } }),
      two,
    );
    expect(replay).toEqual({
      links: [
        {
          ...{ mac: "52:54:00:00:00:02", mtu: 1500, dhcp4: false },
          addresses: [{ address: "192.0.2.10", prefix: 24 }],
          routes: [{ to: "default", via: "192.0.2.1", onLink: false }],
          given: { addresses: [], routes: [] },
        },
      ],
      dns: ["192.0.2.53"],
    });
    expect(left).toEqual([]);
  });

  it("is on the machine's only card, whatever its name, but never on one of several that do not fit", () => {
    const spec = serverSpec({ network: { lan: { match: { mac: "52:54:00:00:00:99" }, ...fixed } } });
    expect(networkFor(spec, one).replay.links.map(({ mac }) => mac)).toEqual(["52:54:00:00:00:01"]);
    expect(networkFor(spec, two)).toMatchObject({ replay: { links: [] }, left: ["lan"] });
  });

  it("is not on two cards that fit alike", () => {
    const spec = serverSpec({ network: { lan: { match: { name: "en*" }, ...fixed } } });
    expect(networkFor(spec, two)).toMatchObject({ replay: { links: [] }, left: ["lan"] });
  });

  it("leaves cards that ask for an address to the base, which asks on every card", () => {
    const network = { lan: { match: { name: "en*" }, dhcp: "yes" as const, dns: ["192.0.2.53"] } };
    expect(networkFor(serverSpec({ network }), one)).toEqual({ replay: { links: [], dns: [] }, left: [] });
  });

  it("makes bonds, VLANs and bridges of the cards that they need, each after those", () => {
    const { replay, left } = networkFor(
      serverSpec({
        network: {
          inside: bridge({ links: ["v40"] }, { ...fixed, mtu: 1400, ipv6AcceptRa: false }),
          v40: vlan({ id: 40, link: "uplink" }),
          uplink: bond({ mode: "802.3ad", links: ["a", "b"], lacpRate: "fast", hashPolicy: "layer3+4" }),
          a: { match: { name: "enp1s0" } },
          b: { match: { mac: "52:54:00:00:00:02" }, mtu: 9000 },
        },
      }),
      two,
    );
    expect(left).toEqual([]);
    const nothing = { dhcp4: false, addresses: [], routes: [], given: { addresses: [], routes: [] } };
    const mac = "52:54:00:00:00:01";
    const options = { mode: "802.3ad", miimon: "100", lacp_rate: "fast", xmit_hash_policy: "layer3+4" };
    expect(replay.links).toEqual([
      { ...nothing, name: "a", mac, mtu: 1500 },
      { ...nothing, name: "b", mac: "52:54:00:00:00:02", mtu: 9000 },
      { ...nothing, name: "uplink", mac, mtu: 1500, device: { kind: "bond", options, members: ["a", "b"] } },
      { ...nothing, name: "v40", mac: "", mtu: 1500, device: { kind: "vlan", id: 40, link: "uplink" } },
      {
        ...{ ...nothing, name: "inside", mac: "", mtu: 1400, acceptRa: false },
        device: { kind: "bridge", stp: false, vlanFiltering: false, members: ["v40"] },
        addresses: [{ address: "192.0.2.10", prefix: 24 }],
        routes: [{ to: "default", via: "192.0.2.1", onLink: false }],
      },
    ]);
    expect(replay.dns).toEqual(["192.0.2.53"]);
  });

  it("asks by DHCP on what is made, where the base itself does not, and puts all cards that a name means into a bond", () => {
    const { replay } = networkFor(
      serverSpec({
        network: {
          cards: { match: { name: "en*" } },
          uplink: bond(
            { mode: "active-backup", links: ["cards"], primary: "cards" },
            { dhcp: "yes", metric: 7 },
          ),
        },
      }),
      two,
    );
    expect(replay.links.at(-1)).toMatchObject({
      ...{ dhcp4: true, metric: 7, mac: "52:54:00:00:00:01" },
      device: { options: { primary: "cards" }, members: ["cards", "cards+1"] },
    });
  });

  it("names what it cannot make, and passes over a bridge of guests", () => {
    const spec = serverSpec({
      network: {
        lan: { match: { name: "wl*" } },
        tagged: vlan({ id: 7, link: "lan" }, fixed),
        guests: bridge({}, { addresses: ["198.51.100.1/24"] }),
        vpn: wireguard({
          privateKeySecret: "vpn",
          peers: [{ publicKey: `${"A".repeat(42)}E=`, allowedIps: ["198.51.100.0/24"] }],
        }),
      },
    });
    expect(networkFor(spec, two)).toEqual({ replay: { links: [], dns: [] }, left: ["tagged", "vpn"] });
  });

  it("sees cards with all their names, and nothing that is no card", () => {
    const sys = tempDir();
    const udev = tempDir();
    for (const [name, index] of [
      ["eth0", "2"],
      ["lo", "1"],
    ] as const) {
      mkdirSync(join(sys, "class/net", name), { recursive: true });
      writeFileSync(join(sys, "class/net", name, "address"), "52:54:00:AA:00:01\n");
      writeFileSync(join(sys, "class/net", name, "ifindex"), `${index}\n`);
    }
    mkdirSync(join(sys, "class/net/eth0/device"));
    writeFileSync(join(sys, "class/net/eth0/device/uevent"), "DRIVER=virtio_net\n");
    writeFileSync(
      join(udev, "n2"),
      "E:ID_NET_NAME_PATH=enp1s0\nE:ID_NET_NAME_MAC=enx525400aa0001\nE:OTHER=x\n",
    );
    expect(cardsHere(sys, udev)).toEqual([
      { mac: "52:54:00:aa:00:01", names: ["eth0", "enp1s0", "enx525400aa0001"] },
    ]);
  });
});
