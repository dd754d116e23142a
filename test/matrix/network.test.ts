import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { bond, bridge, vlan, wireguard } from "../../src/dsl/network.ts";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { lockPath, makeLockFor, writeLock } from "../../src/operator/lock/lock.ts";
import type { SpecInput } from "../../src/schema/spec.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { defaultChecks } from "../../src/testing/checks.ts";
import { openLab, type TestLab } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";

const minutes = 60_000;
const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

let lab: TestLab | undefined;
let path: string | undefined;
afterEach(async () => {
  await lab?.close();
  if (path !== undefined) await rm(path, { recursive: true, force: true });
  lab = undefined;
  path = undefined;
});

/** A small server with that network; its other parts are the same for all, so that most of its image is built once. */
async function definitionWith({
  network,
  files = {},
  secrets = {},
}: Pick<SpecInput, "network" | "files" | "secrets">): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-network-"));
  const key = (await readFile("secrets/demo-admin-key.pub", "utf8")).trim();
  const packages = [
    ...["dbus", "e2fsprogs", "initramfs-tools", "iproute2", "iputils-ping", "linux-image-cloud-amd64"],
    ...["openssh-server", "sudo", "systemd-sysv", "udev", "zstd"],
  ];
  await writeFile(
    join(directory, "IMGBUILD.ts"),
    `import { biosBoot, disk, gpt, image, root } from "imgbuild";
export default image({
  hostname: "network",
  packages: { install: ${JSON.stringify(packages)} },
  storage: {
    disks: { system: disk({ match: { serial: "NETWORK" }, imageSize: "2GiB", table: gpt(biosBoot(), root()) }) },
  },
  boot: { firmware: ["bios"] },
  network: ${JSON.stringify(network)},
  files: ${JSON.stringify(files)},
  secrets: ${JSON.stringify(secrets)},
  users: { admin: { sudo: true, keys: [${JSON.stringify(key)}] } },
  services: { "ssh.service": { state: "enabled" } },
});
`,
  );
  const definition = await loadDefinition(directory);
  await writeLock(lockPath(definition), await makeLockFor(definition.spec, options));
  return directory;
}

const match = { name: "en*" };
const addresses = ["192.0.2.10/24", "2001:db8:7::10/64"];
const gateway = ["192.0.2.1", "2001:db8:7::1"];
const macs = ["52:54:00:00:07:01", "52:54:00:00:07:02"];
/** In files of its own, which are read as what a definition says is. */
const vlan40 = {
  "/etc/systemd/network/20-v40.netdev": { content: "[NetDev]\nName=v40\nKind=vlan\n[VLAN]\nId=40\n" },
  "/etc/systemd/network/30-v40.network": {
    content:
      "[Match]\nName=v40\n[Network]\nAddress=192.0.2.10/24\nAddress=2001:db8:7::10/64\nGateway=192.0.2.1\nGateway=2001:db8:7::1\n",
  },
  "/etc/systemd/network/10-ethernet.network.d/vlan.conf": { content: "[Network]\nVLAN=v40\n" },
};

interface Case {
  readonly says: Pick<SpecInput, "network" | "files" | "secrets">;
  /** Those that have to answer. */
  readonly gateways: readonly string[];
  /** What else must hold there. */
  readonly holds?: string;
}

const cases: Readonly<Record<string, Case>> = {
  "static addresses of both families": {
    says: { network: { ethernet: { match, addresses, gateway } } },
    gateways: gateway,
  },
  "IPv6 alone": {
    says: {
      network: { ethernet: { match, addresses: ["2001:db8:7::10/64"], gateway: ["2001:db8:7::1"] } },
    },
    gateways: ["2001:db8:7::1"],
  },
  "a gateway outside of its prefix, and one that is link-local": {
    says: {
      network: {
        ethernet: {
          match: { name: "eno7" },
          addresses: ["203.0.113.5/32", "2001:db8:7::1/64"],
          gateway: ["172.31.1.1", "fe80::1"],
          gatewayOnLink: true,
        },
      },
    },
    gateways: ["172.31.1.1", "fe80::1%eno7"],
  },
  "a VLAN": { says: { network: { ethernet: { match } }, files: vlan40 }, gateways: gateway },
  "a bond, a bridge on its VLAN, and WireGuard": {
    says: {
      network: {
        port1: { match: { mac: macs[0]! } },
        port2: { match: { mac: macs[1]! } },
        uplink: bond({ mode: "active-backup", links: ["port1", "port2"], primary: "port1" }),
        v40: vlan({ id: 40, link: "uplink" }),
        outside: bridge({ links: ["v40"] }, { addresses, gateway }),
        inside: bridge({}, { addresses: ["203.0.113.1/24"] }),
        vpn: wireguard(
          {
            privateKeySecret: "vpn",
            listenPort: 51820,
            peers: [
              {
                publicKey: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
                presharedKeySecret: "shared",
                allowedIps: ["198.51.100.0/24"],
              },
            ],
          },
          {
            addresses: ["198.51.100.2/32"],
            routes: [{ destination: "198.51.100.0/24", metric: 77 }],
            mtu: 1380,
          },
        ),
      },
      secrets: Object.fromEntries(
        ["vpn", "shared"].map((name) => {
          const path = `/etc/systemd/network/${name}.key`;
          return [name, { file: `${name}.age`, path, group: "systemd-network", mode: "0640" }];
        }),
      ),
    },
    gateways: [...gateway, "203.0.113.1"],
    holds: `set -e
      [ "$(grep -c '^Slave Interface' /proc/net/bonding/uplink)" = 2 ]
      # The MAC of a card, not one that systemd makes up.
      for name in uplink v40 outside; do grep -qxE '${macs.join("|")}' "/sys/class/net/$name/address"; done
      test -e /sys/class/net/outside/brif/v40
      ip route get 198.51.100.7 | grep -q 'dev vpn src 198.51.100.2'
      ip link show vpn | grep -q 'mtu 1380 '`,
  },
};

for (const [name, { says, gateways, holds = "true" }] of Object.entries(cases))
  describe(`network: ${name}`, () => {
    it(
      "is reached at its address, and reaches its gateway",
      async () => {
        path = await definitionWith(says);
        lab = await openLab();
        const machine = await lab.machine({ definition: path });
        await machine.boot();
        // IPv6 addresses are there once no other machine has them.
        for (const gateway of gateways)
          await machine.waitUntilSucceeds(["ping", "-c", "1", "-W", "5", gateway]);
        await machine.succeed(holds);
        const results = await defaultChecks(machine, machine, options);
        expect(results.filter(({ ok }) => !ok)).toEqual([]);
        expect(results.map(({ check }) => check)).toContainEqual(
          expect.stringMatching(/^sshd takes the key of admin/),
        );
        // QEMU's own subnet is none of its.
        await machine.fail("ip -o address | grep -qE 'inet (10\\.0\\.2\\.|192\\.168)'");
      },
      20 * minutes,
    );
  });
