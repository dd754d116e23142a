import { dirname } from "node:path";
import { bootstrapSources } from "../../operator/lock/bootstrap-sources.ts";
import { chrootRun } from "../../system/door/chroot.ts";
import { type RunOptions, run } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { installHint } from "../../tables/distribution.ts";
import { stockRelease } from "../../tables/release.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";

/** Bounds on a machine that is also busy with other things. */
const bootstrapTimeoutMs = 30 * 60_000;
const initramfsTimeoutMs = 10 * 60_000;

const { packages } = onlyArchitecture;
/** What a provider's Debian 12 has: nothing of imgbuild's, no kexec-tools, no Node, no rsync, no cpio. */
export const stockPackages = [
  "dbus",
  packages.grubEfi,
  packages.grubBios,
  "grub2-common",
  "ifupdown",
  "iproute2",
  "isc-dhcp-client",
  "kmod",
  "libpam-systemd",
  packages.cloudKernel,
  "openssh-server",
  "procps",
  "sudo",
  "systemd-sysv",
  "udev",
  "zstd",
] as const;

/** Identities of the stock host's filesystems. They are fixed: its image is made once and only overlays of it are written. */
export const stockIds = {
  root: "7f6d1c58-3a0b-4c8e-9d52-0c1b8e6a4f01",
  /** FAT serial, as fstab and blkid write it. */
  esp: "5A3C-91E7",
  /** A machine that was installed long ago: no first-boot work. */
  machineId: "3f0c9a5be2d74416a8b10d6c57e2f943",
} as const;

/** The tag of its VLAN, where it has one. */
const stockVlan = 20;
const dns = { "/etc/resolv.conf": { content: "nameserver 10.0.2.3\n" } };
const address = "static\n  address 10.0.2.15/24\n  gateway 10.0.2.2";
// The network card of src/vm sits in PCI slot 3.
const onCard = (how: string) => `allow-hotplug enp0s3\niface enp0s3 inet ${how}\n`;
/** All cards in a bond, and a VLAN on it as the only way out. */
const onBond = `auto bond0
iface bond0 inet manual
  pre-up modprobe bonding max_bonds=0
  pre-up ip link add bond0 type bond mode active-backup miimon 100
  pre-up for card in /sys/class/net/e*; do ip link set "\${card##*/}" down; ip link set "\${card##*/}" master bond0; done
  pre-up ip link set bond0 type bond primary enp0s3
  up ip link set bond0 up

auto v${stockVlan}
iface v${stockVlan} inet ${address}
  pre-up ip link add link bond0 name v${stockVlan} type vlan id ${stockVlan}
`;

const stockNetworks = {
  dhcp: { interfaces: onCard("dhcp") },
  static: { interfaces: onCard(address), ...dns },
  "bond-vlan": { interfaces: onBond, ...dns },
} as const;

/** Where its address comes from. QEMU's own subnet has the static one too. */
export type StockNetwork = keyof typeof stockNetworks;

/** Files of the stock system by path; a mode where it is not 0644. */
export function stockFiles(
  publicKey: string,
  network: StockNetwork = "dhcp",
): Record<string, { content: string; mode?: number }> {
  const { interfaces, ...more } = stockNetworks[network];
  return {
    "/etc/hostname": { content: "stock\n" },
    "/etc/hosts": { content: "127.0.0.1\tlocalhost\n127.0.1.1\tstock\n::1\tlocalhost ip6-localhost\n" },
    "/etc/machine-id": { content: `${stockIds.machineId}\n`, mode: 0o444 },
    "/etc/fstab": {
      content: [
        `UUID=${stockIds.root} / ext4 errors=remount-ro 0 1`,
        `UUID=${stockIds.esp} /boot/efi vfat umask=0077 0 1`,
        // By label, because each test gives its data disk a UUID of its own; nofail, because some have none.
        "LABEL=srv /srv ext4 defaults,nofail,x-systemd.device-timeout=30s 0 2",
        "",
      ].join("\n"),
    },
    "/etc/network/interfaces": { content: `auto lo\niface lo inet loopback\n\n${interfaces}` },
    ...more,
    "/etc/default/grub": {
      content: [
        "GRUB_DEFAULT=0",
        "GRUB_TIMEOUT=1",
        'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"',
        'GRUB_TERMINAL="console serial"',
        "",
      ].join("\n"),
    },
    "/etc/sudoers.d/admin": { content: "admin ALL=(ALL) NOPASSWD:ALL\n", mode: 0o440 },
    "/root/.ssh/authorized_keys": { content: `${publicKey}\n`, mode: 0o600 },
    "/home/admin/.ssh/authorized_keys": { content: `${publicKey}\n`, mode: 0o600 },
  };
}

/** Makes the stock host's root filesystem as a directory, from the mirrors that are used for everything. Needs root and network. */
export async function makeStockTree(
  tree: string,
  publicKey: string,
  network: StockNetwork,
  {
    log,
    env,
    signal,
  }: {
    readonly log: Log;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly signal?: AbortSignal | undefined;
  },
) {
  const options: RunOptions = signal === undefined ? {} : { signal };
  const sources = await bootstrapSources(stockRelease, { env, signal });
  await log.task(`bootstrapping ${stockPackages.length} packages and what they need`, async () => {
    await run(
      [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--aptopt=APT::Install-Recommends false",
        "--dpkgopt=force-unsafe-io",
        `--include=${stockPackages.join(",")}`,
        stockRelease,
        tree,
        ...sources,
      ],
      {
        ...options,
        timeoutMs: bootstrapTimeoutMs,
        // The kernel's hook would make an initramfs before the tree is complete; it is made once, below.
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", INITRD: "No" },
        hint: `${installHint("mmdebstrap")}; it was given ${sources.join(", ")}`,
      },
    );
  });
  const chroot = (...argv: string[]) => chrootRun(tree, argv, { ...options, timeoutMs: initramfsTimeoutMs });
  await chroot("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", "admin");
  const files = new Tree(tree);
  for (const [path, { content, mode }] of Object.entries(stockFiles(publicKey, network))) {
    files.makeDirectories(dirname(path));
    files.write(path, content, mode === undefined ? {} : { mode });
  }
  for (const home of ["/root", "/home/admin"]) files.chmod(`${home}/.ssh`, 0o700);
  await chroot("chown", "--recursive", "admin:admin", "/home/admin");
  files.makeDirectories("/boot/efi");
  await log.task("making the initramfs", () => chroot("update-initramfs", "-c", "-k", "all"));
  // initramfs-tools brings it along; many an old server made its initramfs by other means, and a takeover must do without.
  await chroot("dpkg", "--remove", "--force-depends", "cpio");
}

/** The one kernel of the tree, as its version. */
export function kernelVersion(tree: string): string {
  const versions = new Tree(tree).list("/lib/modules").sort();
  if (versions.length !== 1) throw new Fail(`the stock tree has ${versions.length} kernels, not one`);
  return versions[0]!;
}
