import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { fetchAll } from "../src/debian/fetch.ts";
import { parseLock } from "../src/debian/lock.ts";
import { chooseMirrors, machineMirrors } from "../src/debian/mirrors.ts";
import type { Lock } from "../src/schema/lock.ts";
import { cacheRoot } from "../src/system/cache.ts";
import { plainEnv, run } from "../src/system/run.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { vmRows } from "./bench-vm.ts";

/** Rows of out/bench.json: seconds, the best of `rounds`, ours and a peer's in one run, with warm package caches for both. */
interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: "s";
  readonly ratio: number;
}

const rounds = 3;
const peerMs = 3_600_000;
const definition = "imgbuild/web";
const suite = "trixie";

const rows: Row[] = [];
const work = await mkdtemp(join(tmpdir(), "imgbuild-bench-"));
try {
  const cache = cacheRoot(process.env);
  const lock = parseLock(await readFile(join(definition, "imgbuild.lock.yaml"), "utf8"));
  const mirrors = chooseMirrors({
    machine: await machineMirrors(),
    environment: process.env.IMGBUILD_MIRROR,
  });
  const packages = join(cache, "packages");
  await fetchAll(lock.packages, { mirrors, dir: packages });
  console.log(`${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; best of ${rounds}`);
  rows.push(await lockRow(lock, mirrors));
  rows.push(await treeRow(lock, mirrors, packages));
  for (const row of await vmRows()) {
    rows.push(row);
    console.log(`${row.name}: ${row.ours} s, peer ${row.peer} s, ratio ${row.ratio}`);
  }
  await mkdir("out", { recursive: true });
  await writeFile("out/bench.json", `${JSON.stringify(rows, null, 2)}\n`);
} finally {
  await rm(work, { recursive: true, force: true });
}

/** Resolving the example with warm indices, against apt's own simulation in an empty root. */
async function lockRow(lock: Lock, mirrors: Awaited<ReturnType<typeof chooseMirrors>>): Promise<Row> {
  const root = join(work, "apt");
  for (const path of [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg",
  ])
    await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, "var/lib/dpkg/status"), "");
  await writeFile(join(root, "etc/apt/sources.list"), sources(mirrors));
  const options = [
    "-o",
    `Dir=${root}`,
    "-o",
    `Dir::State::status=${join(root, "var/lib/dpkg/status")}`,
    "-o",
    "APT::Install-Recommends=false",
    "-o",
    "APT::Sandbox::User=root",
    "-o",
    `Dir::Etc::trustedparts=/usr/share/keyrings`,
    "-o",
    "APT::Architecture=amd64",
  ];
  await run(["apt-get", ...options, "update"], { timeoutMs: peerMs });
  const wanted = lock.packages.filter(({ requested }) => requested).map(({ name }) => name);
  const essential = lock.packages.filter(({ bootstrap }) => bootstrap).map(({ name }) => name);
  const copy = join(work, "definition");
  await rm(copy, { recursive: true, force: true });
  const ours = async () => {
    const ran = await imgbuild(["lock", "--update", definition], { env: process.env, timeoutMs: peerMs });
    if (ran.code !== 0) throw new Error(ran.stderr);
  };
  const before = await readFile(join(definition, "imgbuild.lock.yaml"));
  try {
    await ours();
    return await compare("lock", ours, async () => {
      await run(["apt-get", ...options, "--simulate", "install", ...essential, ...wanted], {
        timeoutMs: peerMs,
      });
    });
  } finally {
    await writeFile(join(definition, "imgbuild.lock.yaml"), before);
  }
}

/** The whole tree of the example, configured, against mmdebstrap with the same packages. */
async function treeRow(
  lock: Lock,
  mirrors: Awaited<ReturnType<typeof chooseMirrors>>,
  packages: string,
): Promise<Row> {
  const archives = join(work, "archives");
  await mkdir(archives);
  for (const { name, version, architecture, sha256 } of lock.packages)
    await copyFile(
      join(packages, `${sha256}.deb`),
      join(archives, `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`),
    );
  const names = lock.packages.map(({ name }) => name).join(",");
  const list = join(work, "sources.list");
  await writeFile(list, sources(mirrors));
  let count = 0;
  return await compare(
    "tree-cold",
    async () => {
      count += 1;
      const to = join(work, `ours-${count}`);
      const ran = await imgbuild(["build", definition, "--format", "dir", "-o", to], {
        env: process.env,
        timeoutMs: peerMs,
      });
      if (ran.code !== 0) throw new Error(ran.stderr);
      await rm(to, { recursive: true });
    },
    async () => {
      count += 1;
      const to = join(work, `peer-${count}`);
      await run(
        [
          ...["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", `--include=${names}`],
          '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
          `--setup-hook=cp ${archives}/*.deb "$1/var/cache/apt/archives/"`,
          ...[suite, to, list],
        ],
        { timeoutMs: peerMs, env: { ...plainEnv, TMPDIR: work } },
      );
      await rm(to, { recursive: true });
    },
  );
}

function sources(mirrors: Awaited<ReturnType<typeof chooseMirrors>>): string {
  const keyring = resolve("src/debian/keyrings", `${suite}.asc`);
  return [
    `deb [signed-by=${keyring}] ${mirrors.debian[0]} ${suite} main`,
    `deb [signed-by=${keyring}] ${mirrors.debian[0]} ${suite}-updates main`,
    `deb [signed-by=${keyring}] ${mirrors["debian-security"][0]} ${suite}-security main`,
    "",
  ].join("\n");
}

async function compare(name: string, ours: () => Promise<void>, peer: () => Promise<void>): Promise<Row> {
  const best = { ours: Number.POSITIVE_INFINITY, peer: Number.POSITIVE_INFINITY };
  // In turns, so that a busy moment of the machine meets both.
  for (let round = 0; round < rounds; round += 1) {
    best.ours = Math.min(best.ours, await timed(ours));
    best.peer = Math.min(best.peer, await timed(peer));
  }
  const ratio = Math.round((best.ours / best.peer) * 1000) / 1000;
  const row = { name, ours: round2(best.ours), peer: round2(best.peer), unit: "s", ratio } as const;
  console.log(`${name}: ours ${row.ours} s, peer ${row.peer} s, ratio ${ratio}`);
  return row;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function round2(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
