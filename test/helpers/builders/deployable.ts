import { createHash } from "node:crypto";
import { lockRequest } from "../../../src/debian/lock/lock-request.ts";
import type { DeployInputs } from "../../../src/operator/deploy/world.ts";
import type { Facts } from "../../../src/schema/facts.ts";
import { Lock, type LockedPackage } from "../../../src/schema/lock.ts";
import { Spec, type SpecInput } from "../../../src/schema/spec.ts";
import { Secret } from "../../../src/util/secret.ts";
import { diskFacts, keptUuid, mib } from "./storage.ts";

/** "ssh-ed25519 AAAA…", a key that nobody holds. */
export const adminKey = `ssh-ed25519 ${Buffer.from("a key of the operator's").toString("base64")}`;

/** A whole server: one written disk, one kept, both firmwares, a user, a swap file. */
export function serverSpec(change: Partial<SpecInput> = {}): Spec {
  return Spec.parse({
    hostname: "web.example.org",
    packages: { install: ["openssh-server"] },
    storage: {
      disks: {
        system: {
          match: { serial: "SYS" },
          table: {
            type: "gpt",
            partitions: [
              { name: "bios", type: "bios-boot", size: "1MiB" },
              { name: "esp", type: "esp", size: "256MiB", content: { type: "vfat", mount: "/efi" } },
              { name: "var", type: "linux", size: "512MiB", content: { type: "ext4", mount: "/var" } },
              { name: "root", type: "linux-root", size: "rest", content: { type: "ext4", mount: "/" } },
            ],
          },
        },
        data: { match: { serial: "DATA" }, keep: [{ type: "ext4", uuid: keptUuid, mount: "/srv" }] },
      },
      swapFile: { size: "64MiB" },
    },
    boot: {},
    network: { ethernet: { match: { name: "en*" }, dhcp: "yes" } },
    users: { admin: { sudo: true, keys: [adminKey] } },
    ...change,
  });
}

export function locked(name: string, fields: Partial<LockedPackage> = {}): LockedPackage {
  return {
    name,
    version: "1.0-1",
    architecture: "amd64",
    archive: "debian",
    path: `pool/main/${name[0]}/${name}/${name}_1.0-1_amd64.deb`,
    size: 1000,
    sha256: createHash("sha256").update(name).digest("hex"),
    requested: false,
    bootstrap: false,
    ...fields,
  };
}

/** A lock that answers the spec; its packages are names only. */
export function lockOf(
  spec: Spec,
  names: readonly string[] = ["apt", "initramfs-tools", "openssh-server"],
): Lock {
  return Lock.parse({
    version: 2,
    request: lockRequest(spec),
    indices: [
      {
        archive: "debian",
        suite: "trixie",
        codename: "trixie",
        date: "2025-09-06T08:15:00.000Z",
        inRelease: "0".repeat(64),
        signedBy: ["A".repeat(40)],
      },
    ],
    packages: [locked("dpkg", { bootstrap: true }), ...names.map((name) => locked(name))],
  });
}

/** What a deploy of a server with a health check and a secret is given, with files that are names only and little patience. */
export function inputsOfDeploy(change: Partial<DeployInputs> = {}): DeployInputs {
  const spec = change.spec ?? serverSpec({ health: [{ type: "unit", unit: "nginx.service" }] });
  const file = (name: string) => ({ path: `/c/${name}`, size: 1000, sha256: "0".repeat(64) });
  return {
    host: "admin@web",
    spec,
    lock: lockOf(spec),
    definition: "def",
    tried: true,
    files: new Map(),
    links: [],
    debs: new Map(),
    secrets: new Map([["token", new Secret("token", Buffer.from("s3cret"))]]),
    base: {
      digest: "d1",
      kernel: file("kernel"),
      outer: file("outer"),
      squashfs: file("squashfs"),
      kit: file("kit"),
      busybox: file("busybox"),
    },
    mirrors: { debian: ["http://deb.example.org/debian"], "debian-security": [] },
    login: undefined,
    deadManSeconds: 10,
    keepAccess: false,
    ignoreClock: false,
    baseCmdline: [],
    slow: 0,
    waitMs: { base: 3_000, build: 20_000, boot: 3_000 },
    ...change,
  };
}

/** A machine on which `serverSpec` can be deployed. */
export function machineFacts(change: Partial<Facts> = {}): Facts {
  return {
    bootId: "11111111-2222-4333-8444-555555555555",
    machineId: "0123456789abcdef0123456789abcdef",
    hostname: "old",
    architecture: "x86_64",
    kernel: "6.1.0-28-cloud-amd64",
    os: { id: "debian", version: "12", name: "Debian GNU/Linux 12 (bookworm)" },
    user: { uid: 0, becomesRootBy: "none" },
    firmware: "uefi",
    secureBoot: false,
    lockdown: "none",
    kexecDisabled: false,
    container: "none",
    memoryMib: { total: 4096, available: 3500 },
    cmdline: ["quiet"],
    consoles: ["tty0", "ttyS0,115200"],
    disks: [
      diskFacts("vda", {
        serial: "SYS",
        model: "Virtual disk",
        partitions: [
          { name: "vda1", startBytes: mib, sizeBytes: 4000 * mib, fsType: "ext4", mountPoints: ["/"] },
        ],
      }),
      diskFacts("vdb", { serial: "DATA", sizeBytes: 512 * mib, fsType: "ext4", uuid: keptUuid }),
    ],
    links: [
      {
        name: "ens3",
        mac: "52:54:00:12:34:56",
        mtu: 1500,
        up: true,
        addresses: [{ address: "192.0.2.10", prefix: 24, dynamic: false }],
      },
    ],
    routes: [{ to: "default", via: "192.0.2.1", link: "ens3", onLink: false, dynamic: false }],
    dns: ["192.0.2.53"],
    mirrors: [],
    hostKeys: ["ssh-ed25519 AAAAold"],
    cacheMib: 2000,
    watchdogs: [],
    clock: 1_750_000_000,
    ...change,
  };
}
