import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
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
async function definitionWith(network: SpecInput["network"], files: SpecInput["files"]): Promise<string> {
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
const vlan40 = {
  "/etc/systemd/network/20-v40.netdev": { content: "[NetDev]\nName=v40\nKind=vlan\n[VLAN]\nId=40\n" },
  "/etc/systemd/network/30-v40.network": {
    content:
      "[Match]\nName=v40\n[Network]\nAddress=192.0.2.10/24\nAddress=2001:db8:7::10/64\nGateway=192.0.2.1\nGateway=2001:db8:7::1\n",
  },
  "/etc/systemd/network/10-ethernet.network.d/vlan.conf": { content: "[Network]\nVLAN=v40\n" },
};

/** Names of cases, networks, and the gateways that have to answer. */
const cases: readonly [string, SpecInput["network"], SpecInput["files"], readonly string[]][] = [
  [
    "static addresses of both families",
    {
      ethernet: {
        match,
        addresses: ["192.0.2.10/24", "2001:db8:7::10/64"],
        gateway: ["192.0.2.1", "2001:db8:7::1"],
      },
    },
    {},
    ["192.0.2.1", "2001:db8:7::1"],
  ],
  [
    "IPv6 alone",
    { ethernet: { match, addresses: ["2001:db8:7::10/64"], gateway: ["2001:db8:7::1"] } },
    {},
    ["2001:db8:7::1"],
  ],
  [
    "a gateway outside of its prefix, and one that is link-local",
    {
      ethernet: {
        match: { name: "eno7" },
        addresses: ["203.0.113.5/32", "2001:db8:7::1/64"],
        gateway: ["172.31.1.1", "fe80::1"],
        gatewayOnLink: true,
      },
    },
    {},
    ["172.31.1.1", "fe80::1%eno7"],
  ],
  ["a VLAN", { ethernet: { match } }, vlan40, ["192.0.2.1", "2001:db8:7::1"]],
];

for (const [name, network, files, gateways] of cases)
  describe(`network: ${name}`, () => {
    it(
      "is reached at its address, and reaches its gateway",
      async () => {
        path = await definitionWith(network, files);
        lab = await openLab();
        const machine = await lab.machine({ definition: path });
        await machine.boot();
        // IPv6 addresses are there once no other machine has them.
        for (const gateway of gateways)
          await machine.waitUntilSucceeds(["ping", "-c", "1", "-W", "5", gateway]);
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
