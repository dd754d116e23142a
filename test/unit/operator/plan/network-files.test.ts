import { describe, expect, it } from "vitest";
import { bond, bridge, dhcp, vlan, wireguard } from "../../../../src/dsl/network.ts";
import { networkFiles, resolvConf } from "../../../../src/operator/plan/network-files.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const folder = "/etc/systemd/network/";
const key = `${"A".repeat(42)}E=`;

function filesOf(change: Pick<SpecInput, "network" | "secrets">): Record<string, string> {
  const made = networkFiles(serverSpec(change as SpecInput));
  return Object.fromEntries(made.map(({ path, content }) => [path.slice(folder.length), content]));
}

const card = (last: number) => ({ match: { mac: `52:54:00:00:00:0${last}` } });

describe("networkFiles", () => {
  it("writes one file for a card, with nothing of what is not said", () => {
    expect(
      filesOf({
        network: {
          lan: {
            match: { name: "en*" },
            addresses: ["192.0.2.2/24"],
            gateway: ["192.0.2.1"],
            dns: ["192.0.2.53"],
          },
        },
      }),
    ).toEqual({
      "10-lan.network": `[Match]
Name=en*

[Network]
DHCP=no
Address=192.0.2.2/24
DNS=192.0.2.53

[Route]
Gateway=192.0.2.1
`,
    });
  });

  it("writes MTU, MAC, search domains, routes and metrics of a link", () => {
    const files = filesOf({
      network: {
        lan: {
          ...card(1),
          dhcp: "yes",
          gateway: ["192.0.2.1"],
          metric: 50,
          mtu: 9000,
          mac: "02:00:00:00:00:07",
          searchDomains: ["example.org", "lab.example.org"],
          ipv6AcceptRa: true,
          requiredForOnline: false,
          routes: [
            { destination: "default", gateway: "198.51.100.1", metric: 200, onLink: true },
            { destination: "203.0.113.0/24" },
            { destination: "2001:db8:9::/48", gateway: "2001:db8::1", table: 100 },
          ],
        },
      },
    });
    expect(files).toEqual({
      "10-lan.network": `[Match]
PermanentMACAddress=52:54:00:00:00:01

[Link]
MACAddress=02:00:00:00:00:07
MTUBytes=9000
RequiredForOnline=no

[Network]
DHCP=yes
Domains=example.org lab.example.org
IPv6AcceptRA=yes

[Route]
Gateway=192.0.2.1
Metric=50

[Route]
Gateway=198.51.100.1
GatewayOnLink=yes
Metric=200

[Route]
Destination=203.0.113.0/24

[Route]
Destination=2001:db8:9::/48
Gateway=2001:db8::1
Table=100

[DHCPv4]
ClientIdentifier=mac
RouteMetric=50

[IPv6AcceptRA]
RouteMetric=50
`,
    });
  });

  it("has a bond keep a card's MAC, and finds its cards by the MAC that they are made with", () => {
    const files = filesOf({
      network: {
        port1: card(1),
        port2: card(2),
        uplink: bond(
          { mode: "active-backup", links: ["port1", "port2"], primary: "port2", monitorMs: 50 },
          { dhcp: "ipv4" },
        ),
        trunk: bond(
          { mode: "802.3ad", links: ["port3"], lacpRate: "fast", hashPolicy: "layer3+4" },
          { mac: "02:00:00:00:00:09" },
        ),
        port3: card(3),
      },
    });
    expect(files).toMatchObject({
      "05-uplink.netdev":
        "[NetDev]\nName=uplink\nKind=bond\nMACAddress=none\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=50ms\n",
      "05-uplink.link": "[Match]\nOriginalName=uplink\n\n[Link]\nMACAddressPolicy=none\n",
      "05-uplink.network": "[Match]\nName=uplink\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n",
      "10-port1.network":
        "[Match]\nPermanentMACAddress=52:54:00:00:00:01\n\n[Network]\nDHCP=no\nBond=uplink\n",
      "10-port2.network":
        "[Match]\nPermanentMACAddress=52:54:00:00:00:02\n\n[Network]\nDHCP=no\nBond=uplink\nPrimarySlave=yes\n",
      "05-trunk.netdev":
        "[NetDev]\nName=trunk\nKind=bond\nMACAddress=02:00:00:00:00:09\n\n[Bond]\nMode=802.3ad\nMIIMonitorSec=100ms\nLACPTransmitRate=fast\nTransmitHashPolicy=layer3+4\n",
    });
    expect(Object.keys(files)).not.toContain("05-trunk.link");
  });

  it("names VLANs on the link that carries them, and is read before the card whose MAC they have", () => {
    const files = filesOf({
      network: {
        lan: card(1),
        v40: vlan({ id: 40, link: "lan" }, { addresses: ["192.0.2.2/24"], mtu: 1400 }),
        v41: vlan({ id: 41, link: "lan" }),
      },
    });
    expect(files).toEqual({
      "05-v40.netdev": "[NetDev]\nName=v40\nKind=vlan\n\n[VLAN]\nId=40\n",
      "05-v40.network":
        "[Match]\nName=v40\n\n[Link]\nMTUBytes=1400\n\n[Network]\nDHCP=no\nAddress=192.0.2.2/24\n",
      "05-v41.netdev": "[NetDev]\nName=v41\nKind=vlan\n\n[VLAN]\nId=41\n",
      "05-v41.network": "[Match]\nName=v41\n\n[Network]\nDHCP=no\n",
      "10-lan.network": "[Match]\nMACAddress=52:54:00:00:00:01\n\n[Network]\nDHCP=no\nVLAN=v40\nVLAN=v41\n",
    });
    expect(Object.keys(files).sort().at(-1)).toBe("10-lan.network");
  });

  it("gives a bridge of guests alone its addresses without a cable, and waits for none", () => {
    const files = filesOf({
      network: {
        lan: dhcp("en*"),
        outside: bridge({ links: ["port"], stp: true }),
        port: card(1),
        inside: bridge({}, { addresses: ["10.7.0.1/24"] }),
      },
    });
    expect(files["05-outside.netdev"]).toBe(
      "[NetDev]\nName=outside\nKind=bridge\nMACAddress=none\n\n[Bridge]\nSTP=yes\n",
    );
    expect(files["10-port.network"]).toMatch(
      /^\[Match\]\nMACAddress=.*\n\n\[Network\]\nDHCP=no\nBridge=outside\n$/,
    );
    expect(files["05-inside.network"]).toBe(
      "[Match]\nName=inside\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=no\nAddress=10.7.0.1/24\nConfigureWithoutCarrier=yes\n",
    );
  });

  it("has networkd read WireGuard's keys where the secrets land, and holds none itself", () => {
    const files = filesOf({
      network: {
        vpn: wireguard(
          {
            privateKeySecret: "vpn",
            listenPort: 51820,
            peers: [
              {
                publicKey: key,
                endpoint: "[2001:db8::7]:51820",
                allowedIps: ["10.9.0.0/24", "2001:db8:9::/64"],
                presharedKeySecret: "shared",
                keepaliveSeconds: 25,
              },
            ],
          },
          { addresses: ["10.9.0.1/24"] },
        ),
      },
      secrets: {
        vpn: { file: "vpn.age", path: "/etc/systemd/network/vpn.key" },
        shared: { file: "shared.age", path: "/etc/systemd/network/shared.key" },
      },
    });
    expect(files["05-vpn.netdev"]).toBe(`[NetDev]
Name=vpn
Kind=wireguard

[WireGuard]
PrivateKeyFile=/etc/systemd/network/vpn.key
ListenPort=51820

[WireGuardPeer]
PublicKey=${key}
PresharedKeyFile=/etc/systemd/network/shared.key
AllowedIPs=10.9.0.0/24
AllowedIPs=2001:db8:9::/64
Endpoint=[2001:db8::7]:51820
PersistentKeepalive=25
`);
    expect(files["05-vpn.network"]).toBe("[Match]\nName=vpn\n\n[Network]\nDHCP=no\nAddress=10.9.0.1/24\n");
  });
});

describe("resolvConf", () => {
  it("names the search domains and servers of all links", () => {
    const spec = serverSpec({
      network: {
        a: { match: { name: "a" }, dns: ["192.0.2.53"], searchDomains: ["example.org"] },
        b: { match: { name: "b" }, dns: ["2001:db8::53"] },
      },
    });
    expect(resolvConf(spec, new Set())).toEqual([
      {
        path: "/etc/resolv.conf",
        content: "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n",
      },
    ]);
  });
});
