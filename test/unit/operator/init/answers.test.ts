import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { networkProblems } from "../../../../src/operator/check/check-network.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { answersFor, chosenByHand, type HostWords } from "../../../../src/operator/init/answers.ts";
import { repositoryFiles, tools } from "../../../../src/operator/init/repository.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import { adminKey, machineFacts } from "../../../helpers/builders/deployable.ts";
import { diskFacts, mib } from "../../../helpers/builders/storage.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const words: HostWords = {
  timezone: "Europe/Vienna",
  packages: ["nginx", "openssh-server", "vim-tiny"],
  keys: [`${adminKey} me@laptop`, "ssh-ed25519 AAAAcolleague them"],
  openedBy: adminKey,
};
const link = { name: "ens3", mac: "52:54:00:AB:CD:EF", mtu: 1500, up: true };
const fixed: Partial<Facts> = {
  links: [
    {
      ...link,
      addresses: [
        { address: "192.0.2.10", prefix: 32, dynamic: false },
        { address: "2001:db8::10", prefix: 64, dynamic: false },
        { address: "fe80::1", prefix: 64, dynamic: false },
      ],
    },
  ],
  routes: [
    { to: "default", via: "192.0.2.1", link: "ens3", onLink: true, dynamic: false },
    { to: "default", via: "2001:db8::1", link: "ens3", onLink: false, dynamic: false },
  ],
  dns: ["127.0.0.53", "192.0.2.53"],
};

const around = {
  imgbuild: "^0.1.0",
  recipients: ["age1own"],
  login: [],
  debianPackages: ["zstd"],
  npmPackage: undefined,
};

/** The repository for such a host, and its definition as imgbuild loads it. */
async function made(facts: Facts, said: Partial<HostWords> = {}) {
  const answers = answersFor(facts, { ...words, ...said });
  const dir = tempDir();
  for (const [path, text] of repositoryFiles(answers, around)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  const definition = await loadDefinition(dir);
  return { answers, dir, definition, text: readFileSync(join(dir, "IMGBUILD.ts"), "utf8") };
}

describe("a repository for a host", () => {
  it("names the disk of its root by serial, its firmware, time zone and the key that logged in", async () => {
    const { definition, answers, text } = await made(machineFacts({ hostname: "Web-1.example.org" }));
    expect(definition.spec).toMatchObject({
      hostname: "web-1",
      timezone: "Europe/Vienna",
      boot: { firmware: ["uefi"] },
      storage: { disks: { system: { match: { serial: "SYS" } } } },
      users: { admin: { sudo: true, keys: [adminKey] } },
    });
    expect(definition.unfinished).toEqual([]);
    expect(definition.spec.packages.install).not.toContain("nginx");
    expect(text).toContain('// "nginx", "vim-tiny",');
    expect(answers.notes).toEqual([
      "vdb, 1 GiB, is not named, so it stays as it is",
      "this login is open to 1 more SSH key",
    ]);
  });

  it("has the static addresses of the link that leads out, and asks by DHCP where that did", async () => {
    const { definition } = await made(machineFacts(fixed));
    expect(definition.spec.network).toEqual({
      ethernet: {
        match: { mac: "52:54:00:ab:cd:ef" },
        dhcp: "no",
        addresses: ["192.0.2.10/32", "2001:db8::10/64"],
        gateway: ["192.0.2.1", "2001:db8::1"],
        gatewayOnLink: true,
        dns: ["192.0.2.53"],
      },
    });
    const dynamic = fixed.routes!.map((route) => ({ ...route, dynamic: true }));
    const asked = await made(machineFacts({ ...fixed, routes: dynamic }));
    expect(asked.definition.spec.network).toMatchObject({ ethernet: { dhcp: "yes", match: { name: "e*" } } });
  });

  it("has the MTU and the routes that somebody set there, and says what it leaves out", async () => {
    const routes = [
      ...fixed.routes!,
      { to: "198.51.100.0/24", via: "192.0.2.2", link: "ens3", onLink: false, dynamic: false, metric: 100 },
      { to: "203.0.113.7", link: "ens3", onLink: false, dynamic: false },
      { to: "203.0.113.0/24", via: "10.0.0.1", link: "ens4", onLink: false, dynamic: false },
      // As NetworkManager sets them, and a kernel without it.
      { to: "192.0.2.0/24", link: "ens3", onLink: false, dynamic: false, metric: 100, src: "192.0.2.10" },
      { to: "10.0.0.0/24", link: "ens4", onLink: false, dynamic: false, metric: 101 },
    ];
    const second = {
      ...link,
      name: "ens4",
      addresses: [{ address: "10.0.0.5", prefix: 24, dynamic: false }],
    };
    const addresses = [
      { address: "192.0.2.10", prefix: 24, dynamic: false },
      ...fixed.links![0]!.addresses.slice(1),
    ];
    const links = [{ ...fixed.links![0]!, addresses, mtu: 1400 }, second];
    const { definition, answers } = await made(machineFacts({ ...fixed, links, routes }));
    expect(definition.spec.network.ethernet).toMatchObject({
      mtu: 1400,
      // In full.
      routes: [
        { destination: "198.51.100.0/24", gateway: "192.0.2.2", metric: 100 },
        { destination: "203.0.113.7/32" },
      ],
    });
    expect(answers.notes).toContain("ens4 has 10.0.0.5/24");
    expect(answers.notes).toContain("a route leads to 203.0.113.0/24 by 10.0.0.1 on ens4");
    expect(answers.notes.join("\n")).not.toContain("10.0.0.0/24");
  });

  it("has the bond, the VLAN and the bridge that lead out, as the host has them", async () => {
    const card = (number: number) => ({
      ...{ ...link, name: `enp${number}s0`, mac: `52:54:00:00:00:0${number}`, mtu: 9000, addresses: [] },
      master: "bond0",
    });
    const { addresses } = fixed.links![0]!;
    const bond = {
      ...{ ...link, name: "bond0", mac: "52:54:00:00:00:02", mtu: 9000, kind: "bond", addresses: [] },
      device: {
        kind: "bond" as const,
        options: { mode: "active-backup", miimon: "50", primary: "enp2s0", xmit_hash_policy: "layer2" },
        members: ["enp1s0", "enp2s0"],
      },
    };
    const tagged = {
      ...{ ...link, name: "bond0.20", mac: "52:54:00:00:00:02", kind: "vlan", addresses: [], master: "br20" },
      device: { kind: "vlan" as const, id: 20, link: "bond0" },
    };
    const guest = { ...link, name: "tap0", kind: "tun", addresses: [], master: "br20" };
    const bridge = {
      ...{ ...link, name: "br20", mac: "52:54:00:99:99:99", kind: "bridge", addresses },
      device: { kind: "bridge" as const, stp: false, vlanFiltering: false, members: ["bond0.20", "tap0"] },
    };
    const links = [bridge, tagged, bond, card(1), card(2), guest];
    const routes = fixed.routes!.map((route) => ({ ...route, link: "br20" }));
    const { definition, answers, text } = await made(machineFacts({ ...fixed, links, routes }));
    expect(text).toContain(
      '    bond0: bond({ mode: "active-backup", links: ["enp1s0", "enp2s0"], monitorMs: 50',
    );
    expect(definition.spec.network).toMatchObject({
      enp1s0: { match: { mac: "52:54:00:00:00:01" }, mtu: 9000 },
      enp2s0: { match: { mac: "52:54:00:00:00:02" }, mtu: 9000 },
      bond0: { device: { kind: "bond", links: ["enp1s0", "enp2s0"], primary: "enp2s0" }, mtu: 9000 },
      "bond0-20": { device: { kind: "vlan", id: 20, link: "bond0" } },
      br20: {
        ...{ device: { kind: "bridge", links: ["bond0-20"] }, mac: "52:54:00:99:99:99" },
        ...{ addresses: ["192.0.2.10/32", "2001:db8::10/64"], gateway: ["192.0.2.1", "2001:db8::1"] },
      },
    });
    expect(networkProblems(definition.spec)).toEqual([]);
    expect(answers.notes.join("\n")).not.toMatch(/bond|br20/);

    const asks = routes.map((route) => ({ ...route, dynamic: true }));
    const byDhcp = await made(machineFacts({ ...fixed, links, routes: asks }));
    expect(byDhcp.definition.spec.network.br20).toMatchObject({ dhcp: "yes", addresses: [] });
    // Tags within tags are no word of a definition.
    const double = { ...tagged, device: { ...tagged.device, protocol: "802.1ad" as const } };
    const not = await made(
      machineFacts({ ...fixed, links: [bridge, double, bond, card(1), card(2)], routes }),
    );
    expect(not.answers.notes.join("\n")).toContain("the way out is br20, a bridge: say it in `network`");
  });

  it("has the program by which the next deploy looks at its network", async () => {
    expect((await made(machineFacts())).definition.spec.packages.install).toContain("iproute2");
  });

  it("has the kernel for virtual machines where the host has it", async () => {
    const kernels = async (kernel: string) =>
      (await made(machineFacts({ kernel }))).definition.spec.packages.install.filter((name) =>
        name.startsWith("linux-image"),
      );
    expect(await kernels("6.1.0-30-cloud-amd64")).toEqual(["linux-image-cloud-amd64"]);
    expect(await kernels("6.1.0-30-amd64")).toEqual(["linux-image-amd64"]);
  });

  it("says what it cannot say: a bond, Secure Boot, a root on no disk that is known", async () => {
    const bond = fixed.links!.map((known) => ({ ...known, kind: "bond" }));
    const disks = ["vda", "vdb"].map((name) => diskFacts(name, { serial: `${name}-SERIAL` }));
    const { answers, definition } = await made(
      machineFacts({ ...fixed, links: bond, secureBoot: true, disks, hostname: "-" }),
    );
    expect(definition.spec).toMatchObject({
      hostname: "server",
      storage: { disks: { system: { match: { serial: "CHANGE-ME" } } } },
      network: { ethernet: { dhcp: "yes" } },
    });
    expect(definition.unfinished).toHaveLength(1);
    expect(answers.notes.join("\n")).toMatch(
      /^no disk holds the root alone[\s\S]*a bond[\s\S]*Secure Boot is on/,
    );
  });

  it("binds itself to the host where its disk has neither serial nor WWN of its own", async () => {
    const own = await made(machineFacts({ disks: [{ ...machineFacts().disks[0]!, serial: "S3Z8NB0K" }] }));
    expect(own.definition.spec.host).toBeUndefined();
    expect((await made(machineFacts())).definition.spec.host).toBeDefined();
    const disk = diskFacts("vda", {
      byPath: ["pci-0000:00:05.0"],
      partitions: [{ name: "vda1", startBytes: mib, sizeBytes: 99 * mib, mountPoints: ["/"] }],
    });
    const { serial: _serial, wwn: _wwn, ...nameless } = disk;
    const { definition } = await made(machineFacts({ disks: [nameless] }));
    expect(definition.spec.storage?.disks.system?.match).toMatchObject({ path: "pci-0000:00:05.0" });
    expect(definition.spec.host).toBeDefined();
  });

  it("takes no word of a host as anything but text", async () => {
    const odd = '"}); process.exit(9); ({ a: "\n*/`$' + "{1}";
    const { definition, text } = await made(
      machineFacts({
        hostname: odd,
        disks: [{ ...machineFacts().disks[0]!, serial: odd.replace("\n", " "), model: "m" }],
      }),
      { timezone: odd, packages: [odd, "nginx"], keys: [] },
    );
    expect(definition.spec.hostname).toBe("server");
    expect(definition.spec.timezone).not.toContain("exit");
    expect(text).not.toMatch(/^\s*process\.exit/m);
  });
});

describe("packages of a host", () => {
  it("are those that somebody may have wanted: no library, none of every Debian, none that starts it", () => {
    const known = [
      ...["nginx optional httpd", "libacl1 optional libs", "bash required shells", "kmod important admin"],
      ...["grub-pc optional admin", "linux-image-6.1.0-30-amd64 optional kernel", "xz optional contrib/libs"],
    ];
    const marked = [...known.map((line) => line.split(" ")[0]!), "foreign", ""];
    expect(chosenByHand(marked, known)).toEqual(["nginx", "foreign"]);
  });
});

describe("the tools of a repository", () => {
  it("are the versions that imgbuild itself is checked with", () => {
    const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
    for (const [name, version] of Object.entries(tools)) expect(devDependencies[name]).toBe(version);
  });
});
