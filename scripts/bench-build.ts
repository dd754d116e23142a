import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, statfs, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchAll } from "../src/debian/fetch.ts";
import { parseLock } from "../src/debian/lock.ts";
import { chooseMirrors, machineMirrors } from "../src/debian/mirrors.ts";
import type { Lock } from "../src/schema/lock.ts";
import { cacheRoot } from "../src/system/cache.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { mmdebstrap, type Peer, preparePeer } from "../test/helpers/mmdebstrap.ts";
import { compare, type Row, rounds, row, timed } from "./bench-rows.ts";

const buildMs = 3_600_000;
/** What two builds of a server take at once. */
const neededBytes = 8 * 2 ** 30;
/** linux/magic.h. */
const tmpfsMagic = 0x01021994;
const memoryLimitMib = 512;
const sampleMs = 50;

/** A server as people have them: with a kernel for hardware, and what one wants at hand. */
const install = [
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

/** Everything is in RAM where there is enough, so that no disk is measured. */
async function quickPlace(): Promise<string> {
  const { type, bavail, bsize } = await statfs("/dev/shm").catch(() => ({ type: 0, bavail: 0, bsize: 0 }));
  return type === tmpfsMagic && bavail * bsize > neededBytes ? "/dev/shm" : tmpdir();
}

interface Bench {
  readonly work: string;
  readonly definition: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How long trees and images take that are made anew, and after a change. */
export async function buildRows(): Promise<Row[]> {
  const work = await mkdtemp(join(await quickPlace(), "imgbuild-bench-"));
  try {
    const cache = cacheRoot(process.env);
    const bench: Bench = {
      work,
      definition: join(work, "server"),
      env: { ...process.env, TMPDIR: work, IMGBUILD_CACHE: join(work, "cache") },
    };
    await mkdir(join(work, "cache"));
    for (const name of ["packages", "index", "base"]) {
      await mkdir(join(cache, name), { recursive: true });
      await symlink(join(cache, name), join(work, "cache", name));
    }
    await writeDefinition(bench.definition, install);
    const lock = await lockServer(bench);
    // The base is a tool as mmdebstrap's packages are: it is there before.
    await build(bench, "dir");
    const mirrors = chooseMirrors({
      machine: await machineMirrors(),
      environment: process.env.IMGBUILD_MIRROR,
    });
    const packages = join(cache, "packages");
    await fetchAll(lock.packages, { mirrors, dir: packages });
    console.log(`a server of ${lock.packages.length} packages, in ${work}`);
    const peer = await preparePeer(lock, { directory: join(work, "peer"), packages, mirrors });
    return [await treeRow(bench, peer), ...(await rebuildRows(bench)), await memoryRow(bench)];
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function treeRow(bench: Bench, peer: Peer): Promise<Row> {
  const to = join(bench.work, "their-tree");
  return await compare(
    "tree-cold",
    () => build(bench, "dir"),
    async () => {
      const seconds = await timed(() => mmdebstrap(peer, to));
      await rm(to, { recursive: true });
      return seconds;
    },
  );
}

/** A raw image after a change, against the same from nothing. */
async function rebuildRows(bench: Bench): Promise<Row[]> {
  const best = {
    cold: Number.POSITIVE_INFINITY,
    file: Number.POSITIVE_INFINITY,
    package: Number.POSITIVE_INFINITY,
  };
  for (let round = 0; round < rounds; round += 1) {
    await writeDefinition(bench.definition, install);
    await lockServer(bench);
    await rm(join(bench.work, "cache/tree"), { recursive: true, force: true });
    best.cold = Math.min(best.cold, await build(bench, "raw"));
    await writeFile(join(bench.definition, "files/var/www/html/index.html"), `edited in round ${round}\n`);
    best.file = Math.min(best.file, await build(bench, "raw"));
    await writeDefinition(bench.definition, [...install, "tree"]);
    await lockServer(bench);
    await fetchOnly(bench);
    best.package = Math.min(best.package, await build(bench, "raw"));
  }
  return [
    row("rebuild-file", best.file, best.cold, "s"),
    row("rebuild-package", best.package, best.cold, "s"),
  ];
}

/** The most that all processes of a build hold at once, shared pages counted once, what lies in tmpfs not at all. */
async function memoryRow(bench: Bench): Promise<Row> {
  await rm(join(bench.work, "cache/tree"), { recursive: true, force: true });
  let most = 0;
  let timer: NodeJS.Timeout | undefined;
  await build(bench, "raw", (pid) => {
    timer = setInterval(() => {
      most = Math.max(most, familyKib(pid));
    }, sampleMs);
  });
  clearInterval(timer);
  return row("peak-memory", most / 1024, memoryLimitMib, "MiB");
}

function familyKib(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    const stat = textOf(`/proc/${name}/stat`);
    const parent = /\) \S (\d+)/.exec(stat)?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isOurs(parents.get(pid)));
  let kib = 0;
  for (const pid of parents.keys()) {
    if (!isOurs(pid)) continue;
    const rollup = textOf(`/proc/${pid}/smaps_rollup`);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0);
    kib += field("Pss") - field("Pss_Shmem");
  }
  return kib;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

/** Seconds of the whole command. */
async function build(bench: Bench, format: "dir" | "raw", onStart?: (pid: number) => void): Promise<number> {
  const to = join(bench.work, `ours.${format}`);
  const seconds = await timed(async () => {
    const ran = await imgbuild(["build", bench.definition, "--format", format, "-o", to], {
      env: bench.env,
      timeoutMs: buildMs,
      onStart: (child) => onStart?.(child.pid!),
    });
    if (ran.code !== 0) throw new Error(ran.stderr);
  });
  await rm(to, { recursive: true });
  return seconds;
}

async function writeDefinition(directory: string, packages: readonly string[]): Promise<void> {
  await mkdir(join(directory, "files/var/www/html"), { recursive: true });
  await writeFile(join(directory, "files/var/www/html/index.html"), "hello\n");
  await writeFile(
    join(directory, "IMGBUILD.ts"),
    `import { biosBoot, dhcp, disk, esp, gpt, image, root } from "imgbuild";

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
`,
  );
}

async function lockServer(bench: Bench): Promise<Lock> {
  const ran = await imgbuild(["lock", bench.definition], { env: bench.env, timeoutMs: buildMs });
  if (ran.code !== 0) throw new Error(ran.stderr);
  return parseLock(await readFile(join(bench.definition, "imgbuild.lock.yaml"), "utf8"));
}

/** The package that is added is in the cache before, as all others are. */
async function fetchOnly(bench: Bench): Promise<void> {
  const lock = parseLock(await readFile(join(bench.definition, "imgbuild.lock.yaml"), "utf8"));
  const mirrors = chooseMirrors({
    machine: await machineMirrors(),
    environment: process.env.IMGBUILD_MIRROR,
  });
  await fetchAll(lock.packages, { mirrors, dir: join(bench.work, "cache/packages") });
}
