import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { plainEnv, type RunResult, run } from "../src/system/run/run.ts";
import { copyArchives, sourcesList } from "../test/helpers/labs/mmdebstrap.ts";
import { page, type Server } from "./bench-server.ts";

const suite = "trixie";
const peerMs = 3_600_000;
/** What mkosi uses here; it recommends most of them, and an installation without recommends lacks them. */
const tools = [
  ...["apt", "ca-certificates", "cpio", "debian-archive-keyring", "dosfstools", "e2fsprogs", "fdisk"],
  ...["mkosi", "mtools", "systemd-boot-tools", "systemd-repart", "systemd-ukify", "zstd"],
];

/** Makes the directory the root of a command, in namespaces that end with it. mkosi pivots its root: ours must be a mount. */
const enter = `set -eu
root=$1; shift
mount --rbind "$root" "$root"
cd "$root"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
for one in run tmp; do mount -t tmpfs tmpfs "$one"; done
mount --bind /etc/resolv.conf etc/resolv.conf
pivot_root . mnt
umount -l /mnt
cd /work
exec "$@"
`;

/** A Debian 13 root, with mkosi as Debian ships it and the configuration of the server in /work. */
export interface Mkosi {
  readonly root: string;
}

/** What it makes, as the root sees it, and as we do. */
export const image = "/work/out/server.raw";

/** Makes the root, and one image for its package cache and indices to be filled. */
export async function prepareMkosi(server: Server): Promise<Mkosi> {
  const root = join(server.work, "mkosi");
  const list = join(server.work, "mkosi.list");
  await writeFile(list, sourcesList(server.mirrors));
  await run(
    [
      ...["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", `--include=${tools.join(",")}`],
      ...[suite, root, list],
    ],
    { timeoutMs: peerMs, env: { ...plainEnv, TMPDIR: server.work } },
  );
  const files = configuration(server);
  for (const [name, text] of Object.entries(files)) {
    const file = join(root, "work", name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await writeFile(join(root, "etc/resolv.conf"), "", { flag: "a" });
  await copyArchives(server.lock, server.packages, join(root, "work/cache/cache/apt/archives"));
  await inRoot({ root }, ["mkosi", "--force", "build"]);
  return { root };
}

/** One image from nothing but the package cache. */
export async function mkosi(peer: Mkosi): Promise<void> {
  await inRoot(peer, ["mkosi", "--force", "--cache-only=always", "build"]);
}

export async function forgetImage({ root }: Mkosi): Promise<void> {
  await rm(join(root, "work/out"), { recursive: true, force: true });
}

export async function inRoot({ root }: Mkosi, argv: readonly string[]): Promise<RunResult> {
  const namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
  return await run([...namespaces, "sh", "-c", enter, "sh", root, ...argv], {
    ...{ timeoutMs: peerMs, shown: argv },
    env: { ...plainEnv, HOME: "/root" },
  });
}

/** The same packages, partitions and file as the server's, and the loader that mkosi installs from a package. All else is as mkosi has it. */
function configuration({ mirrors, lock }: Server): Readonly<Record<string, string>> {
  const names = lock.packages.map(({ name }) => name);
  const source = (url: string | undefined, suites: string) =>
    `Types: deb\nURIs: ${url}\nSuites: ${suites}\nComponents: main\n` +
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
  return {
    "mkosi.conf": `[Distribution]
Distribution=debian
Release=${suite}

[Output]
Format=disk
Output=server
OutputDirectory=/work/out

[Build]
PackageCacheDirectory=/work/cache
SandboxTrees=/work/sandbox
RepartOffline=yes

[Content]
Bootable=yes
Bootloader=systemd-boot
Packages=${[...names, "systemd-boot-efi"].join(",")}
`,
    // Its own list would name Debian's own servers for what comes from -security.
    "sandbox/etc/apt/sources.list.d/mkosi.sources": [
      source(mirrors.debian[0], `${suite} ${suite}-updates`),
      source(mirrors["debian-security"][0], `${suite}-security`),
    ].join("\n"),
    "mkosi.repart/00-esp.conf":
      "[Partition]\nType=esp\nFormat=vfat\nCopyFiles=/boot:/\nCopyFiles=/efi:/\nSizeMinBytes=512M\nSizeMaxBytes=512M\n",
    "mkosi.repart/10-root.conf":
      "[Partition]\nType=root\nFormat=ext4\nCopyFiles=/\nSizeMinBytes=3580M\nSizeMaxBytes=3580M\n",
    [`mkosi.extra/${page}`]: "hello\n",
  };
}
