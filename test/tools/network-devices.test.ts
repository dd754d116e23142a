import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bond, bridge, vlan, wireguard } from "../../src/dsl/network.ts";
import { checkSpec } from "../../src/operator/check/check.ts";
import { networkFiles } from "../../src/operator/plan/network-files.ts";
import type { SpecInput } from "../../src/schema/spec.ts";
import { serverSpec } from "../helpers/builders/deployable.ts";
import { numbers, seed } from "../helpers/builders/odd-strings.ts";
import { runNetworkd } from "../helpers/labs/networkd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const random = numbers(seed);
const below = (limit: number) => Math.floor(random() * limit);
const pick = <T>(some: readonly T[]): T => some[below(some.length)]!;
/** 32 bytes in base64; all zeros are no key. */
const key = () => Buffer.from(Array.from({ length: 32 }, () => 1 + below(255))).toString("base64");

type Links = NonNullable<SpecInput["network"]>;
const bondModes = [
  ...(["active-backup", "802.3ad", "balance-rr", "balance-xor"] as const),
  ...(["broadcast", "balance-tlb", "balance-alb"] as const),
];
const hashPolicies = ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"] as const;

/** Every kind of device, with the ends of what is accepted; each is on cards of its own. */
function devices(): { readonly network: Links; readonly cards: string[] } {
  const network: Links = {};
  const cards: string[] = [];
  const card = () => {
    const name = `c${cards.length}${pick(["", "-", "_x", "-_"])}`;
    cards.push(name);
    network[name] = { match: { name } };
    return name;
  };
  const isHashed = (mode: string) => ["802.3ad", "balance-xor", "balance-tlb"].includes(mode);
  const hasPrimary = (mode: string) => ["active-backup", "balance-tlb", "balance-alb"].includes(mode);
  for (const [index, mode] of bondModes.entries()) {
    const links = [card(), card()];
    network[`b${index}${pick(["", "-a_", "0123456789abc"])}`] = bond({
      ...{ mode, links, monitorMs: pick([1, 100, 60_000]) },
      ...(mode === "802.3ad" ? { lacpRate: pick(["slow", "fast"] as const) } : {}),
      ...(isHashed(mode) ? { hashPolicy: pick(hashPolicies) } : {}),
      ...(hasPrimary(mode) ? { primary: pick(links) } : {}),
    });
  }
  const trunk = card();
  for (const id of [1, 2, 4094])
    network[`v${id}`] = vlan({ id, link: trunk }, { mtu: pick([1280, 1500]), mac: "02:00:00:00:01:00" });
  for (const index of [0, 1, 2, 3]) {
    const stp = [undefined, false, true, undefined][index];
    network[`br${index}`] = bridge(
      { links: index === 3 ? [] : [card(), card()], ...(stp === undefined ? {} : { stp }) },
      { addresses: [`10.${index}.0.1/24`], ...(index === 2 ? { mac: "02:00:00:00:02:00" } : {}) },
    );
  }
  for (const index of [0, 1])
    network[`wg${index}`] = wireguard({
      privateKeySecret: "vpn",
      listenPort: pick([1, 51820, 65535]),
      peers: ["[2001:db8::1]:1", "192.0.2.1:65535", "vpn-1.example.org:51820", undefined].map((endpoint) => ({
        publicKey: key(),
        allowedIps: pick([["0.0.0.0/0", "::/0"], ["10.9.0.7/32"], ["2001:DB8:9::/48", "192.0.2.0/24"]]),
        ...(endpoint === undefined ? {} : { endpoint, keepaliveSeconds: pick([1, 65535]) }),
        ...(below(2) === 0 ? {} : { presharedKeySecret: "shared" }),
      })),
    });
  return { network, cards };
}

/** Cards with routes, metrics, MTU and MAC. */
const routed: Links = {
  r1: {
    match: { name: "r1" },
    addresses: ["192.0.2.10/24", "2001:db8:1::10/64"],
    gateway: ["192.0.2.1"],
    metric: 4294967295,
    mtu: 9000,
    searchDomains: ["example.org", "a_b.example.org", "x"],
    ipv6AcceptRa: false,
    routes: [
      { destination: "default", gateway: "2001:db8:1::1", metric: 7 },
      { destination: "198.51.100.0/24", gateway: "172.31.1.1", onLink: true, table: 4294967295 },
      { destination: "203.0.113.7/32" },
      { destination: "2001:DB8:9::/48", gateway: "fe80::1", table: 1000 },
    ],
  },
  r2: {
    ...{ match: { name: "r2" }, addresses: ["198.51.100.10/24"], gateway: ["198.51.100.1"], metric: 1 },
    ...{ mac: "02:00:00:00:03:00", requiredForOnline: false },
  },
};

describe(`what is written of devices is read by systemd-networkd (IMGBUILD_SEED=${seed})`, () => {
  it("as every kind of device and every route that is meant, without a line passed over", () => {
    const dir = tempDir();
    chmodSync(dir, 0o755);
    const made = devices();
    const file = (name: string) => {
      const path = join(dir, `${name}_+@-.key`);
      writeFileSync(path, `${key()}\n`, { mode: 0o640 });
      // networkd is no root when it reads it.
      execFileSync("chgrp", ["systemd-network", path]);
      return { file: `${name}.age`, path, group: "systemd-network", mode: "0640" };
    };
    const spec = serverSpec({
      packages: { install: ["sudo"] },
      network: { ...made.network, ...routed },
      secrets: { vpn: file("vpn"), shared: file("shared") },
    });
    expect(checkSpec(spec)).toEqual([]);
    const cards = [...made.cards, "r1", "r2"].map((name, index) => ({
      name,
      mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`,
    }));
    const bridges = ["br0", "br1", "br2", "br3"];
    const { log, complaints, links, routes } = runNetworkd(dir, networkFiles(spec), cards, 4);
    expect(complaints).toEqual([]);
    const kinds = Object.entries(spec.network).flatMap(([name, { device }]) =>
      device === undefined ? [] : [`${name}: loaded "${device.kind}"`],
    );
    // The kernel of a test need not have them all.
    expect(kinds.filter((says) => !log.split("\n").some((line) => line.endsWith(says)))).toEqual([]);

    const link = (name: string) => links.find(({ ifname }) => ifname === name);
    const macs = new Map(cards.map(({ name, mac }) => [name, mac]));
    for (const name of bridges) {
      const { device, mac } = spec.network[name]!;
      const parts = device?.kind === "bridge" ? device.links : [];
      expect([name, link(name)?.linkinfo?.info_kind]).toEqual([name, "bridge"]);
      expect([name, parts.map((part) => link(part)?.master)]).toEqual([name, parts.map(() => name)]);
      if (parts.length > 0)
        expect(mac === undefined ? parts.map((part) => macs.get(part)) : [mac]).toContain(
          link(name)?.address,
        );
      // With STP its links listen for half a minute first.
      if (name !== "br2")
        expect([name, link(name)?.addr_info]).toEqual([
          name,
          expect.arrayContaining([expect.objectContaining({ prefixlen: 24 })]),
        ]);
    }
    expect(link("br2")?.linkinfo?.info_data).toMatchObject({ stp_state: 1 });
    expect(link("r1")).toMatchObject({ mtu: 9000 });
    expect(link("r2")).toMatchObject({ address: "02:00:00:00:03:00" });
    const of = (dev: string, { dst, gateway, metric, table }: (typeof routes)[number]) =>
      [dev, dst, gateway ?? "", metric ?? 0, table ?? "main"].join(" ");
    const found = routes.filter(({ dev }) => dev === "r1" || dev === "r2").map((one) => of(one.dev, one));
    expect(found).toEqual(
      expect.arrayContaining([
        "r1 default 192.0.2.1 4294967295 main",
        "r1 default 2001:db8:1::1 7 main",
        "r1 198.51.100.0/24 172.31.1.1 0 4294967295",
        "r1 203.0.113.7  0 main",
        "r1 2001:db8:9::/48 fe80::1 1024 1000",
        "r2 default 198.51.100.1 1 main",
      ]),
    );
  });
});
