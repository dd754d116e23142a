import type { SpecInput } from "../../../src/schema/spec.ts";
import { adminKey } from "./deployable.ts";
import { keptUuid } from "./storage.ts";

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const luksUuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const kdf = { memory: "32MiB", iterations: 4 };

/** Good definitions that say as many fields as fit together, for tests that break them. */
export const fullDefinitions: Readonly<Record<string, SpecInput>> = {
  server: server(),
  verified: verified(),
  settings: settings(),
};

/** Words that become files of known places. */
function settings(): SpecInput {
  const range = { start: 200_000, count: 65_536 };
  return {
    hostname: "settings",
    packages: { install: ["openssh-server", "nftables", "sudo", "libpam-systemd"] },
    hosts: { "192.0.2.7": ["db.example.org", "db"], "2001:db8::7": ["db6"] },
    sysctl: { "net.ipv4.ip_forward": 1, "kernel.core_pattern": "|/bin/false" },
    modules: { load: ["loop"], options: { loop: { max_loop: 64, hw_queue_depth: "32" } }, blocked: ["dccp"] },
    sshd: {
      ports: [22, 2222],
      passwordAuthentication: false,
      permitRootLogin: "no",
      allowUsers: ["admin", "ops@192.0.2.*"],
      allowGroups: ["admin", "op*"],
      options: { MaxAuthTries: 3, X11Forwarding: false, AcceptEnv: ["LANG", "LC_*"] },
    },
    firewall: { tcp: [22, 80, "8000-8100"], udp: [51820], rules: ["ip saddr 192.0.2.7 accept"] },
    users: {
      admin: {
        ...{ sudo: "password", hashedPassword: "$y$j9T$abc$defghijk", keys: [adminKey] },
        ...{ home: { path: "/srv/admin", mode: "0700" }, subuid: range, subgid: range, lingering: true },
      },
      ops: { home: "/srv/ops", keys: [adminKey], subuid: { start: 300_000, count: 1000 } },
    },
    sysusers: {
      app: { id: 890, comment: "An app", home: "/var/lib/app", shell: "/bin/sh", groups: ["adm", "shared"] },
      shared: { id: 891, user: false },
    },
    tmpfiles: ["d /var/lib/app 0750 app app -", "e /var/cache/app - - - 10d"],
  };
}

function server(): SpecInput {
  return {
    version: 1,
    hostname: "full.example.org",
    system: {
      distribution: "debian",
      suite: "trixie",
      architecture: "amd64",
      components: ["main", "non-free-firmware"],
      mirror: "http://deb.example.org/debian",
      suites: ["trixie-backports"],
      repositories: {
        vendor: {
          url: "https://packages.example.org/debian",
          suite: "stable",
          components: ["main"],
          key: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
          fingerprint: "A".repeat(40),
        },
      },
    },
    packages: {
      install: [
        "apt",
        "openssh-server",
        "sudo",
        "systemd-resolved",
        "locales",
        "nginx/trixie-backports",
        "nano-",
      ],
      recommends: true,
      debs: ["debs/own_1.0_all.deb"],
      pins: [{ packages: ["nginx*"], suite: "trixie-backports", priority: 700 }],
      prune: ["/usr/share/doc/*"],
    },
    host: {
      dmiUuid: "9F1D9A54-3C0E-4B6A-9D58-2F6B1C8E4A90",
      machineId: "0123456789abcdef0123456789abcdef",
      sshHostKey: `SHA256:${"A".repeat(43)}`,
    },
    storage: serverStorage(),
    boot: {
      firmware: ["uefi", "bios"],
      loader: "systemd-boot",
      cmdline: ["quiet", "mitigations=auto"],
      consoles: ["tty0", "ttyS0,115200"],
      menuTimeoutSeconds: 3,
    },
    locale: "en_GB.UTF-8",
    timezone: "Europe/Berlin",
    network: {
      dynamic: { match: { name: "en*" }, dhcp: "ipv6", dns: ["192.0.2.53", "2001:db8::53"] },
      fixed: {
        match: { mac: "52:54:00:12:34:56" },
        addresses: ["192.0.2.10/24", "2001:db8::10/64"],
        gateway: ["192.0.2.1", "2001:db8:1::1"],
        gatewayOnLink: true,
      },
    },
    users: {
      root: { keys: [adminKey] },
      admin: {
        uid: 1500,
        comment: "Administrator",
        shell: "/bin/bash",
        groups: ["adm", "www-data"],
        sudo: true,
        keys: [adminKey],
        hashedPassword: "$y$j9T$abc$defghijk",
      },
      guest: { hashedPasswordSecret: "guest-password" },
    },
    files: {
      "/etc/motd": { content: "hello\n", mode: "0640", owner: "admin", group: "adm" },
      "/etc/issue": { content: "" },
    },
    patches: [
      { name: "a.diff", diff: "--- a/etc/adduser.conf\n+++ b/etc/adduser.conf\n@@ -1 +1 @@\n-a\n+b\n" },
    ],
    templates: {
      "/etc/site.conf": {
        text: "listen {{port}}; name {{name | shell}};\n",
        values: { port: 80, name: "site" },
        mode: "0644",
        owner: "root",
        group: "root",
      },
    },
    provision: [
      {
        name: "site.sh",
        script: "#!/bin/sh\ntrue\n",
        values: { SITE: "example.org" },
        files: { "a/b": "text", c: { base64: "AAAA" } },
        network: true,
        timeoutSeconds: 60,
      },
    ],
    services: {
      "nginx.service": { state: "enabled", dropIn: "[Service]\nRestart=always\n" },
      "own.service": { unit: "[Service]\nExecStart=/usr/bin/true\n" },
      "own.timer": {
        state: "enabled",
        unit: "[Timer]\nOnCalendar=hourly\n\n[Install]\nWantedBy=timers.target\n",
      },
      "apt-daily.timer": { state: "masked" },
    },
    secrets: {
      "guest-password": { file: "../secrets/guest.age" },
      "data-key": {
        file: "../secrets/data.age",
        path: "/etc/keys/data",
        mode: "0400",
        owner: "root",
        group: "root",
      },
      "disk-key": { file: "../secrets/disk.age" },
      spare: { file: "../secrets/spare.age" },
      "host-key": { file: "../secrets/host.age" },
    },
    hostKeys: { secret: "host-key" },
    health: [
      { type: "unit", unit: "nginx.service", withinSeconds: 30 },
      { type: "port", port: 80, withinSeconds: 30 },
      { type: "command", argv: ["/usr/bin/true", "--all"], withinSeconds: 30 },
    ],
  };
}

function serverStorage(): NonNullable<SpecInput["storage"]> {
  return {
    disks: {
      system: {
        match: {
          serial: "FULL-1",
          wwn: "0x5000c500a1b2c3d4",
          byId: "ata-FULL-1",
          path: "pci-0000:00:1f.2-ata-1",
          model: "Disk",
          minSize: "4GiB",
          maxSize: "2TiB",
        },
        imageSize: "8GiB",
        table: {
          type: "gpt",
          partitions: [
            { name: "bios", type: "bios-boot", size: "1MiB" },
            {
              name: "esp",
              type: "esp",
              size: "256MiB",
              content: {
                type: "vfat",
                mount: "/efi",
                label: "ESP",
                options: ["umask=0077"],
                uuid: "1A2B-3C4D",
              },
            },
            {
              name: "swap",
              type: "linux-swap",
              size: "256MiB",
              content: { type: "swap", label: "swap", priority: 5, discard: true, randomKey: "cryptswap" },
            },
            {
              name: "data",
              type: "linux-luks",
              size: "10%",
              align: "4MiB",
              attributes: ["no-auto"],
              content: {
                type: "luks",
                name: "data",
                key: "data-key",
                recoveryKey: "spare",
                unlock: { type: "key-file" },
                discard: true,
                options: ["no-read-workqueue"],
                kdf,
                content: { type: "xfs", mount: "/srv/data", label: "data", options: ["nodev"] },
              },
            },
            {
              name: "pv",
              type: "linux-lvm",
              size: { min: "1GiB", max: "2GiB" },
              content: { type: "lvm-pv", group: "vg" },
            },
            {
              name: "root",
              type: "linux-root",
              typeGuid: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
              size: "rest",
              content: {
                type: "ext4",
                mount: "/",
                label: "root",
                options: ["errors=remount-ro"],
                uuid: keptUuid,
              },
            },
          ],
        },
      },
      second: {
        match: { serial: "FULL-2" },
        imageSize: "2GiB",
        table: {
          type: "gpt",
          partitions: [member("linux-raid", "md-member", "array", "md"), pool("pool-a")],
        },
      },
      third: {
        match: { tableUuid: "aabbccdd" },
        imageSize: "2GiB",
        table: {
          type: "gpt",
          partitions: [member("linux-raid", "md-member", "array", "md"), pool("pool-b")],
        },
      },
      kept: {
        match: { serial: "FULL-3" },
        keep: [
          {
            type: "ext4",
            uuid: "91b0c2d3-44e5-46f6-8a07-b8c9dae0f1a2",
            mount: "/srv/kept",
            options: ["nofail"],
          },
          {
            type: "luks",
            uuid: luksUuid,
            name: "old",
            key: "disk-key",
            unlock: { type: "passphrase" },
            content: { type: "xfs", uuid: "a1b0c2d3-44e5-46f6-8a07-b8c9dae0f1a2", mount: "/srv/old" },
          },
        ],
      },
    },
    arrays: { md: { level: 1, metadata: "1.2", content: { type: "ext4", mount: "/srv/mirror" } } },
    volumeGroups: {
      vg: {
        volumes: {
          home: { kind: "linear", size: "256MiB", content: { type: "ext4", mount: "/home" } },
          thin: { kind: "thin-pool", size: "256MiB" },
          spool: { kind: "thin", pool: "thin", size: "1GiB", content: { type: "ext4", mount: "/var/spool" } },
        },
      },
    },
    pools: {
      pool: {
        data: "raid1",
        metadata: "raid1",
        label: "pool",
        options: ["noatime"],
        compression: "zstd:3",
        subvolumes: { "@srv": { mount: "/srv/pool", options: ["nodev"] }, "@spare": {} },
      },
    },
    swapFile: { path: "/swapfile", size: "64MiB" },
    zram: { percent: 50, algorithm: "zstd", priority: 100 },
    tmpfs: { "/tmp": { size: "50%", options: ["nosuid"] } },
    binds: { "/var/backups": { from: "/srv/data", options: ["ro"] } },
  };
}

function member(type: "linux-raid", content: "md-member", key: "array", name: string) {
  return { name: "md", type, size: "512MiB", content: { type: content, [key]: name } } as never;
}

function pool(name: string) {
  return {
    name,
    type: "linux" as const,
    size: "rest" as const,
    content: { type: "btrfs-member" as const, pool: "pool" },
  };
}

/** Signed by a key of its own, with a root that cannot be written. */
function verified(): SpecInput {
  return {
    hostname: "verified",
    system: { suite: "trixie" },
    packages: { install: ["openssh-server"] },
    storage: {
      disks: {
        system: {
          match: { serial: "FULL-V" },
          imageSize: "4GiB",
          table: {
            type: "gpt",
            partitions: [
              { name: "esp", type: "esp", size: "272MiB", content: { type: "vfat", mount: "/efi" } },
              {
                name: "xbootldr",
                type: "xbootldr",
                size: "512MiB",
                content: { type: "vfat", mount: "/xbootldr" },
              },
              {
                name: "root",
                type: "linux-root",
                size: "1GiB",
                content: { type: "ext4", mount: "/", verity: true },
              },
              { name: "hashes", type: "linux-root-verity", size: "16MiB", content: { type: "verity-hash" } },
              {
                name: "header",
                type: "linux",
                size: "16MiB",
                content: { type: "luks-header", volume: "vault" },
              },
              {
                name: "vault",
                type: "linux",
                size: "256MiB",
                content: {
                  type: "luks",
                  name: "vault",
                  key: "vault",
                  detachedHeader: true,
                  options: ["noauto"],
                  content: { type: "f2fs", mount: "/srv/vault", options: ["noauto"] },
                },
              },
              {
                name: "tang",
                type: "linux-luks",
                size: "256MiB",
                content: {
                  type: "luks",
                  name: "tang",
                  key: "vault",
                  unlock: { type: "tang", url: "http://192.0.2.7", thumbprint: "t".repeat(43) },
                  content: { type: "btrfs", mount: "/srv/tang", subvolumes: { "@a": { mount: "/srv/a" } } },
                },
              },
              {
                name: "tpm",
                type: "linux-luks",
                size: "64MiB",
                content: {
                  type: "luks",
                  name: "tpm",
                  key: "vault",
                  unlock: { type: "tpm2", pcrs: [7] },
                  content: { type: "swap" },
                },
              },
              { name: "var", type: "linux-var", size: "rest", content: { type: "ext4", mount: "/var" } },
            ],
          },
        },
      },
      overlays: { "/etc": { upper: "/var/lib/overlays/etc" }, "/root": { upper: "memory" } },
    },
    boot: {
      firmware: ["uefi"],
      loader: "uki",
      secureBoot: { key: "secure-boot", certificate, alsoTrusted: [certificate], enroll: "force" },
    },
    secrets: { "secure-boot": { file: "sb.age", path: "/etc/sb.pem" }, vault: { file: "vault.age" } },
    network: { ethernet: { match: { name: "en*" }, dhcp: "yes", dns: ["192.0.2.53"] } },
    users: { admin: { keys: [adminKey] } },
    hostKeys: "keep",
    health: [{ type: "unit", unit: "ssh.service" }],
  };
}
