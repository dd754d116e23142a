import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../src/system/run/run.ts";
import { installArgv, refreshArgv } from "../src/tables/distribution.ts";
import { inTurns, type Row, row, type Spent, timed } from "./bench-rows.ts";

const installMs = 20 * 60_000;
/** A start takes a fraction of a second, so several are one round. */
const starts = 10;
/** Programs of peers, with the package that brings each. */
const peers = { mkosi: "mkosi", ansible: "ansible-core" } as const;
const env = process.env as Record<string, string>;

/** What `--version` takes of the npm package, as npm installs it, and of peers as Debian has them. */
export async function startRows(): Promise<readonly Row[]> {
  await installPeers();
  const work = await mkdtemp(join(tmpdir(), "imgbuild-bench-start-"));
  try {
    await run(["node", "--import", "tsx", "scripts/package.ts"], { timeoutMs: installMs, env });
    const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
    const shipped = resolve(`out/imgbuild-${version}.tgz`);
    console.log(`packed size: ${((await stat(shipped)).size / 2 ** 20).toFixed(2)} MiB`);
    await run(["npm", "install", "--global", "--prefix", work, "--no-audit", "--no-fund", shipped], {
      timeoutMs: installMs,
      env,
    });
    const rows: Row[] = [];
    for (const [program, name] of Object.entries(peers)) {
      const best = await inTurns(
        () => starting(join(work, "bin/imgbuild")),
        () => starting(program),
      );
      const { stdout } = await run(["dpkg-query", "--show", name]);
      rows.push(row(`start-up-${program}`, best, { against: stdout.trim().replace("\t", " "), atMost: 0.5 }));
    }
    return rows;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function installPeers(): Promise<void> {
  const { stdout } = await run(["dpkg-query", "--show", ...Object.values(peers)], { accept: [0, 1] });
  const there = stdout.split("\n").map((line) => line.split("\t")[0]);
  const lacking = Object.values(peers).filter((name) => !there.includes(name));
  if (lacking.length === 0) return;
  const noninteractive = { ...env, DEBIAN_FRONTEND: "noninteractive" };
  await run(refreshArgv, { timeoutMs: installMs, env: noninteractive });
  await run(installArgv("--no-install-recommends", ...lacking), {
    timeoutMs: installMs,
    env: noninteractive,
  });
}

async function starting(program: string): Promise<Spent> {
  const all = await timed(async () => {
    for (let count = 0; count < starts; count += 1) await run([program, "--version"], { env });
  });
  return { seconds: all.seconds / starts, cpuSeconds: all.cpuSeconds / starts };
}
