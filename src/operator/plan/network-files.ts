import { type Device, linksOf, type Network } from "../../schema/network.ts";
import type { Spec } from "../../schema/spec.ts";
import type { FileToWrite } from "../../steps/tree/write-files.ts";

type Declared = Pick<Spec, "network" | "secrets">;

/** The files of systemd-networkd that the definition's network is. */
export function networkFiles({ network, secrets }: Declared): { path: string; content: string }[] {
  return Object.entries(network).flatMap(([name, link]) => {
    const { device } = link;
    // Links that are made come first: a VLAN has the MAC by which the file of its card is matched.
    const stem = `/etc/systemd/network/${device === undefined ? "10" : "05"}-${name}`;
    const files = [{ path: `${stem}.network`, content: networkFile(name, link, network) }];
    if (device === undefined) return files;
    files.push({ path: `${stem}.netdev`, content: netdevFile(name, device, link.mac, secrets) });
    if (ownMac(device, link.mac) === "none")
      files.push({
        path: `${stem}.link`,
        content: text([
          ["Match", [`OriginalName=${name}`]],
          ["Link", ["MACAddressPolicy=none"]],
        ]),
      });
    return files;
  });
}

/**
 * systemd makes up the MAC of a bond and a bridge from the machine-id, which is new with each deploy: a switch or a DHCP server
 * would not know it. With "none" here and in a .link file the kernel takes that of a link.
 */
function ownMac({ kind }: Device, mac: string | undefined): string | undefined {
  return mac ?? (kind === "bond" || kind === "bridge" ? "none" : undefined);
}

/** systemd.network(5). */
function networkFile(name: string, link: Network, network: Spec["network"]): string {
  const { match = { name }, device, dhcp, addresses, gateway, dns, mac, mtu, metric } = link;
  const upper = Object.entries(network).filter(([, one]) => linksOf(one.device).includes(name));
  const isBonded = upper.some(([, one]) => one.device?.kind === "bond");
  // A bond gives its links its own MAC.
  const byMac = isBonded || mac !== undefined ? "PermanentMACAddress" : "MACAddress";
  const isEmpty = device?.kind === "bridge" && device.links.length === 0;
  const by4 = dhcp === "yes" || dhcp === "ipv4";
  const routes = [
    ...gateway.map((one) => [
      `Gateway=${one}`,
      ...(link.gatewayOnLink ? ["GatewayOnLink=yes"] : []),
      ...line("Metric", metric),
    ]),
    ...(link.routes ?? []).map((route) => [
      ...(route.destination === "default" ? [] : [`Destination=${route.destination}`]),
      ...line("Gateway", route.gateway),
      ...line("GatewayOnLink", route.onLink),
      ...line("Metric", route.metric),
      ...line("Table", route.table),
    ]),
  ];
  return text([
    ["Match", [...line("Name", match.name), ...line(byMac, match.mac)]],
    [
      "Link",
      [
        ...(device === undefined ? line("MACAddress", mac) : []),
        ...line("MTUBytes", mtu),
        ...line("RequiredForOnline", link.requiredForOnline ?? (isEmpty ? false : undefined)),
      ],
    ],
    [
      "Network",
      [
        `DHCP=${dhcp}`,
        ...addresses.map((address) => `Address=${address}`),
        ...dns.map((address) => `DNS=${address}`),
        ...line("Domains", link.searchDomains?.join(" ")),
        ...line("IPv6AcceptRA", link.ipv6AcceptRa),
        ...(isEmpty ? ["ConfigureWithoutCarrier=yes"] : []),
        ...upper.flatMap(([above, one]) => belongsTo(above, one.device!, name)),
      ],
    ],
    ...routes.map((lines) => ["Route", lines] as const),
    // The default identifier derives from the machine-id, which is new with each deploy: a server could give another address.
    ["DHCPv4", by4 ? ["ClientIdentifier=mac", ...line("RouteMetric", metric)] : []],
    ["IPv6AcceptRA", link.ipv6AcceptRa === false ? [] : line("RouteMetric", metric)],
  ]);
}

/** What a link says of the device that it carries, or is a part of. */
function belongsTo(name: string, device: Device, link: string): string[] {
  if (device.kind === "vlan") return [`VLAN=${name}`];
  if (device.kind === "bridge") return [`Bridge=${name}`];
  return [`Bond=${name}`, ...(device.kind === "bond" && device.primary === link ? ["PrimarySlave=yes"] : [])];
}

/** systemd.netdev(5). */
function netdevFile(name: string, device: Device, mac: string | undefined, secrets: Spec["secrets"]): string {
  const pathOf = (secret: string | undefined) => (secret === undefined ? undefined : secrets[secret]?.path);
  const own = [
    "NetDev",
    [`Name=${name}`, `Kind=${device.kind}`, ...line("MACAddress", ownMac(device, mac))],
  ] as const;
  switch (device.kind) {
    case "vlan":
      return text([own, ["VLAN", [`Id=${device.id}`]]]);
    case "bond":
      return text([
        own,
        [
          "Bond",
          [
            `Mode=${device.mode}`,
            `MIIMonitorSec=${device.monitorMs}ms`,
            ...line("LACPTransmitRate", device.lacpRate),
            ...line("TransmitHashPolicy", device.hashPolicy),
          ],
        ],
      ]);
    case "bridge":
      return text([own, ["Bridge", line("STP", device.stp)]]);
    case "wireguard":
      return text([
        own,
        [
          "WireGuard",
          [
            ...line("PrivateKeyFile", pathOf(device.privateKeySecret)),
            ...line("ListenPort", device.listenPort),
          ],
        ],
        ...device.peers.map(
          (peer) =>
            [
              "WireGuardPeer",
              [
                `PublicKey=${peer.publicKey}`,
                ...line("PresharedKeyFile", pathOf(peer.presharedKeySecret)),
                ...peer.allowedIps.map((one) => `AllowedIPs=${one}`),
                ...line("Endpoint", peer.endpoint),
                ...line("PersistentKeepalive", peer.keepaliveSeconds),
              ],
            ] as const,
        ),
      ]);
  }
}

function line(key: string, value: string | number | boolean | undefined): string[] {
  if (value === undefined) return [];
  return [`${key}=${typeof value === "boolean" ? (value ? "yes" : "no") : value}`];
}

/** Sections of a unit, those without lines left out. */
function text(sections: readonly (readonly [string, readonly string[]])[]): string {
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([name, lines]) => `[${name}]\n${lines.join("\n")}\n`)
    .join("\n");
}

export function resolvConf({ network }: Pick<Spec, "network">, packages: ReadonlySet<string>): FileToWrite[] {
  if (packages.has("systemd-resolved"))
    return [{ path: "/etc/resolv.conf", link: "../run/systemd/resolve/stub-resolv.conf" }];
  const links = Object.values(network);
  const domains = links.flatMap(({ searchDomains = [] }) => searchDomains);
  const lines = [
    ...(domains.length === 0 ? [] : [`search ${domains.join(" ")}\n`]),
    ...links.flatMap(({ dns }) => dns).map((server) => `nameserver ${server}\n`),
  ];
  return lines.length === 0 ? [] : [{ path: "/etc/resolv.conf", content: lines.join("") }];
}
