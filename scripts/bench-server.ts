import { mkdir, mkdtemp, readdir, readFile, rm, statfs, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chooseMirrors, type Mirrors, machineMirrors } from "../src/debian/archive/mirrors.ts";
import { fetchAll } from "../src/debian/http/fetch.ts";
import { parseLock } from "../src/debian/lock/lock.ts";
import type { Lock } from "../src/schema/lock.ts";
import { cacheRoot } from "../src/system/files/cache.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { type Spent, timed } from "./bench-rows.ts";

const commandMs = 3_600_000;
/** What two builds of a server take at once, and the root of a peer. */
const neededBytes = 10 * 2 ** 30;
/** linux/magic.h. */
const tmpfsMagic = 0x01021994;

/** A server as people have them: with a kernel for hardware, and what one wants at hand. */
export const install = [
  ...[
    "apt",
    "bash-completion",
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "e2fsprogs",
    "file",
    "initramfs-tools",
  ],
  ...["iputils-ping", "less", "linux-image-amd64", "logrotate", "man-db", "nano", "nginx", "openssh-server"],
  ...["rsync", "sudo", "systemd-resolved", "systemd-sysv", "systemd-timesyncd", "udev", "zstd"],
];

export const page = "var/www/html/index.html";
const shared = ["packages", "index", "base"];

/** The server that is built: its definition in a directory of its own, with a cache that shares what needs the network. */
export interface Server {
  readonly work: string;
  readonly definition: string;
  readonly lock: Lock;
  readonly mirrors: Mirrors;
  /** `<sha256>.deb`, all that the lock names. */
  readonly packages: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Gives `use` a server that is locked and whose packages are there; no tree of it is. */
export async function withServer<T>(use: (server: Server) => Promise<T>): Promise<T> {
  const work = await mkdtemp(join(await quickPlace(), "imgbuild-bench-"));
  try {
    const cache = cacheRoot(process.env);
    await mkdir(join(work, "cache"));
    for (const name of shared) {
      await mkdir(join(cache, name), { recursive: true });
      await symlink(join(cache, name), join(work, "cache", name));
    }
    const env = { ...process.env, TMPDIR: work, IMGBUILD_CACHE: join(work, "cache") };
    const mirrors = chooseMirrors({
      machine: await machineMirrors(),
      environment: process.env.IMGBUILD_MIRROR,
    });
    const server = {
      ...{ work, env, mirrors },
      definition: join(work, "server"),
      packages: join(cache, "packages"),
    };
    // The base is a tool as a peer's own packages are: it is there before.
    await command(server, ["base", "build"]);
    await mkdir(join(server.definition, "files", dirname(page)), { recursive: true });
    await edit(server, "hello\n");
    return await use({ ...server, lock: await relock(server, install) });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Everything is in RAM where there is enough, so that no disk is measured. */
async function quickPlace(): Promise<string> {
  const { type, bavail, bsize } = await statfs("/dev/shm").catch(() => ({ type: 0, bavail: 0, bsize: 0 }));
  return type === tmpfsMagic && bavail * bsize > neededBytes ? "/dev/shm" : tmpdir();
}

/** Writes the definition with these packages, locks them, and fetches what is new. */
export async function relock(server: Omit<Server, "lock">, packages: readonly string[]): Promise<Lock> {
  await writeFile(join(server.definition, "IMGBUILD.ts"), definitionOf(packages));
  await command(server, ["lock", server.definition]);
  const lock = parseLock(await readFile(join(server.definition, "imgbuild.lock.yaml"), "utf8"));
  await fetchAll(lock.packages, { mirrors: server.mirrors, dir: server.packages });
  return lock;
}

/** Writes the one file that the definition lays into the system. */
export async function edit(server: Pick<Server, "definition">, text: string): Promise<void> {
  await writeFile(join(server.definition, "files", page), text);
}

/** Leaves packages, indices and base in the cache. */
export async function forgetTrees(server: Server): Promise<void> {
  const cache = join(server.work, "cache");
  for (const name of await readdir(cache))
    if (!shared.includes(name)) await rm(join(cache, name), { recursive: true });
}

/** What the whole command takes. What it made is shown to `look`, then removed. */
export async function build(
  server: Server,
  format: "dir" | "raw",
  and: {
    readonly onStart?: (pid: number) => void;
    readonly look?: (made: string) => Promise<void>;
  } = {},
): Promise<Spent> {
  const to = join(server.work, `ours.${format}`);
  const argv = ["build", server.definition, "--format", format, "-o", to];
  let said = "";
  const spent = await timed(async () => {
    said = await command(server, argv, and.onStart);
  });
  await and.look?.(to);
  await rm(to, { recursive: true });
  const steps = [...said.matchAll(/^\s*(\S.*: done in .*)$/gm)].map((match) => match[1]!);
  return { ...spent, steps };
}

/** Gives what it said. */
export async function command(
  server: Pick<Server, "env">,
  argv: readonly string[],
  onStart?: (pid: number) => void,
): Promise<string> {
  const ran = await imgbuild(argv, {
    env: server.env,
    timeoutMs: commandMs,
    onStart: (child) => onStart?.(child.pid!),
  });
  if (ran.code !== 0) throw new Error(ran.stderr);
  return ran.stderr;
}

function definitionOf(packages: readonly string[]): string {
  return `import { biosBoot, dhcp, disk, esp, gpt, image, root } from "imgbuild";

export default image({
  hostname: "server",
  system: { suite: "trixie" },
  packages: { install: ${JSON.stringify(packages)} },
  storage: {
    disks: {
      system: disk({
        match: { serial: "S" },
        imageSize: "4GiB",
        table: gpt(biosBoot(), esp({ size: "512MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: { ethernet: dhcp("en*") },
});
`;
}
