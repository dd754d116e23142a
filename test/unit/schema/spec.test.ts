import { describe, expect, it } from "vitest";
import { Spec } from "../../../src/schema/spec.ts";

const disk = {
  match: { serial: "A" },
  table: { type: "gpt", partitions: [{ name: "root", type: "linux-root", size: "rest" }] },
};

/** Paths of the problems of a definition, as text. */
function paths(change: object): string[] {
  const result = Spec.safeParse({ hostname: "web", ...change });
  return result.success ? [] : result.error.issues.map((issue) => issue.path.join("."));
}

describe("Spec", () => {
  it("fills in what is left out", () => {
    expect(Spec.parse({ hostname: "web" })).toEqual({
      version: 1,
      system: { distribution: "debian", suite: "trixie", architecture: "amd64", components: ["main"] },
      packages: { install: [], recommends: false, prune: [] },
      hostname: "web",
      locale: "C.UTF-8",
      timezone: "Etc/UTC",
      network: {},
      users: {},
      files: {},
      services: {},
      secrets: {},
      hostKeys: "keep",
      health: [],
    });
  });

  it("fills in defaults below what is given", () => {
    const spec = Spec.parse({
      hostname: "web",
      boot: {},
      storage: { disks: { system: disk }, swapFile: { size: "64MiB" } },
      users: { admin: {} },
      files: { "/etc/motd": { content: "" } },
      secrets: { key: { file: "key.age" } },
      health: [{ type: "port", port: 22 }],
    });
    expect(spec.boot).toEqual({
      firmware: ["uefi", "bios"],
      loader: "systemd-boot",
      cmdline: [],
      consoles: ["tty0", "ttyS0,115200"],
      menuTimeoutSeconds: 1,
    });
    expect(spec.storage?.disks.system).toMatchObject({ imageSize: 4 * 2 ** 30 });
    expect(spec.storage?.swapFile).toEqual({ path: "/swapfile", size: 64 * 2 ** 20 });
    expect(spec.users.admin).toEqual({ comment: "", shell: "/bin/bash", groups: [], sudo: false, keys: [] });
    expect(spec.files["/etc/motd"]).toMatchObject({ mode: "0644", owner: "root", group: "root" });
    expect(spec.secrets.key).toMatchObject({ mode: "0600", owner: "root" });
    expect(spec.health[0]).toMatchObject({ withinSeconds: 60 });
  });

  it("reads its own output to the same", () => {
    const spec = Spec.parse({ hostname: "web", boot: {}, storage: { disks: { system: disk } } });
    expect(Spec.parse(spec)).toEqual(spec);
  });

  it.each<[object, string]>([
    [{ hostname: "" }, "hostname"],
    [{ hostname: "Web" }, "hostname"],
    [{ hostname: "-a" }, "hostname"],
    [{ hostname: "a..b" }, "hostname"],
    [{ hostname: `a.${"b".repeat(64)}` }, "hostname"],
    [{ hostname: "a\n" }, "hostname"],
    [{ version: 2 }, "version"],
    [{ extra: 1 }, ""],
    [{ system: { suite: "sid" } }, "system.suite"],
    [{ system: { mirror: "file:///srv" } }, "system.mirror"],
    [{ system: { extra: 1 } }, "system"],
    [{ system: { components: [] } }, "system.components"],
    [{ packages: { install: ["-y"] } }, "packages.install.0"],
    [{ packages: { install: ["nginx=1 2"] } }, "packages.install.0"],
    [{ packages: { install: ["nginx/"] } }, "packages.install.0"],
    [{ packages: { debs: ["../own.deb"] } }, "packages.debs.0"],
    [{ packages: { debs: ["/own.deb"] } }, "packages.debs.0"],
    [{ packages: { debs: ["own.rpm"] } }, "packages.debs.0"],
    [{ packages: { pins: [{ packages: ["*"], priority: 1 }] } }, "packages.pins.0"],
    [
      { packages: { pins: [{ packages: ["*"], suite: "trixie", priority: 99999 }] } },
      "packages.pins.0.priority",
    ],
    [{ system: { suites: ["noble"] } }, "system.suites.0"],
    [{ system: { repositories: { debian: {} } } }, "system.repositories.debian"],
    [{ system: { repositories: { vendor: { url: "ftp://x" } } } }, "system.repositories.vendor.url"],
    [{ packages: { prune: ["usr"] } }, "packages.prune.0"],
    [{ boot: { cmdline: ["a b"] } }, "boot.cmdline.0"],
    [{ boot: { cmdline: ["a\nb"] } }, "boot.cmdline.0"],
    [{ boot: { cmdline: ['a="b'] } }, "boot.cmdline.0"],
    [{ boot: { cmdline: ["a=b\\"] } }, "boot.cmdline.0"],
    [{ system: { mirror: "http://example.org/a b" } }, "system.mirror"],
    [{ boot: { firmware: [] } }, "boot.firmware"],
    [{ boot: { menuTimeoutSeconds: -1 } }, "boot.menuTimeoutSeconds"],
    [{ locale: "de_DE" }, "locale"],
    [{ timezone: "../etc/passwd" }, "timezone"],
    [{ network: { a: { match: {} } } }, "network.a.match"],
    [{ network: { a: { match: { name: "en*" }, addresses: ["192.0.2.1"] } } }, "network.a.addresses.0"],
    [{ network: { a: { match: { name: "en*\nx" } } } }, "network.a.match.name"],
    [{ network: { a: { match: { mac: "52:54:00:AB:cd:ef" } } } }, "network.a.match.mac"],
    [{ users: { Admin: {} } }, "users.Admin"],
    [{ users: { a: { uid: 0 } } }, "users.a.uid"],
    [{ users: { a: { comment: "a:b" } } }, "users.a.comment"],
    [{ users: { a: { comment: "a\nb" } } }, "users.a.comment"],
    [{ users: { a: { shell: "bash" } } }, "users.a.shell"],
    [{ users: { a: { keys: ["password"] } } }, "users.a.keys.0"],
    [{ users: { a: { keys: ["ssh-ed25519 A\nssh-ed25519 B"] } } }, "users.a.keys.0"],
    [{ users: { a: { hashedPassword: "secret" } } }, "users.a.hashedPassword"],
    [{ files: { "etc/motd": { content: "" } } }, "files.etc/motd"],
    [{ files: { "/etc/../motd": { content: "" } } }, "files./etc/../motd"],
    [{ files: { "/etc//motd": { content: "" } } }, "files./etc//motd"],
    [{ files: { "/etc/a\nb": { content: "" } } }, "files./etc/a\nb"],
    [{ files: { "/etc/motd": { content: "", mode: "644" } } }, "files./etc/motd.mode"],
    [{ services: { nginx: { state: "enabled" } } }, "services.nginx"],
    [{ services: { "../a.service": {} } }, "services.../a.service"],
    [{ secrets: { a: { file: "a.txt" } } }, "secrets.a.file"],
    [{ hostKeys: "old" }, "hostKeys"],
    [{ health: [{ type: "port", port: 0 }] }, "health.0.port"],
    [{ health: [{ type: "ping" }] }, "health.0.type"],
    [{ health: [{ type: "command", argv: [] }] }, "health.0.argv"],
  ])("refuses %j at its path", (change, path) => {
    expect(paths(change)).toContain(path);
  });
});

describe("storage", () => {
  const withDisk = (change: object) => ({ storage: { disks: { system: { ...disk, ...change } } } });

  it("refuses a disk known by nothing that survives a boot", () => {
    expect(Spec.safeParse({ hostname: "a", ...withDisk({ match: { model: "M" } }) }).success).toBe(false);
    expect(Spec.safeParse({ hostname: "a", ...withDisk({ match: { name: "sda" } }) }).success).toBe(false);
    expect(Spec.safeParse({ hostname: "a", ...withDisk({ match: { wwn: "0x5" } }) }).success).toBe(true);
  });

  it("refuses a disk that is written and kept", () => {
    const keep = [{ type: "ext4", uuid: "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90", mount: "/srv" }];
    expect(Spec.safeParse({ hostname: "a", ...withDisk({ keep }) }).success).toBe(false);
  });

  it.each([
    [
      "more than 128 partitions",
      Array.from({ length: 129 }, (_, i) => ({ name: `p${i}`, type: "linux", size: "1MiB" })),
    ],
    ["none", []],
    ["a name of 37 letters", [{ name: "a".repeat(37), type: "linux", size: "1MiB" }]],
    ["a name with a quote", [{ name: 'a"b', type: "linux", size: "1MiB" }]],
    ["a size of nothing", [{ name: "a", type: "linux", size: 0 }]],
    ["an unknown type", [{ name: "a", type: "swap", size: "1MiB" }]],
    [
      "a mount point upwards",
      [{ name: "a", type: "linux", size: "1MiB", content: { type: "ext4", mount: "/a/../b" } }],
    ],
    [
      "a mount option with a space",
      [{ name: "a", type: "linux", size: "1MiB", content: { type: "ext4", mount: "/a", options: ["a b"] } }],
    ],
    [
      "an unknown filesystem",
      [{ name: "a", type: "linux", size: "1MiB", content: { type: "zfs", mount: "/a" } }],
    ],
  ])("refuses a table with %s", (_name, partitions) => {
    const given = withDisk({ table: { type: "gpt", partitions } });
    expect(Spec.safeParse({ hostname: "a", ...given }).success).toBe(false);
  });
});
