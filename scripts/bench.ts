import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { fetchAll } from "../src/debian/fetch.ts";
import { parseLock } from "../src/debian/lock.ts";
import { chooseMirrors, machineMirrors } from "../src/debian/mirrors.ts";
import type { Lock } from "../src/schema/lock.ts";
import { cacheRoot } from "../src/system/cache.ts";
import { run } from "../src/system/run.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { buildRows } from "./bench-build.ts";
import { compare, type Row, rounds, timed } from "./bench-rows.ts";
import { vmRows } from "./bench-vm.ts";

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
  rows.push(...(await buildRows()));
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
    const simulate = async () => {
      await run(["apt-get", ...options, "--simulate", "install", ...essential, ...wanted], {
        timeoutMs: peerMs,
      });
    };
    return await compare(
      "lock",
      () => timed(ours),
      () => timed(simulate),
    );
  } finally {
    await writeFile(join(definition, "imgbuild.lock.yaml"), before);
  }
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
