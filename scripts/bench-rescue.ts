import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLab } from "../src/testing/index.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { least, pair, type Row, rounds, type Spent, timed } from "./bench-rows.ts";

const commandMs = 1_800_000;
const mib = 2 ** 20;
/** What is asked for. */
const most = { mib: 150, seconds: 10, boots: 2.5 };
/** Small, and its packages are known to start in a small machine. */
const recovered = "imgbuild/layouts/both-firmwares";

/** `rescue-iso-size` and `rescue-iso`: a medium that fetches its packages, with the base in the cache. */
export async function rescueRows(): Promise<Row[]> {
  const work = await mkdtemp(join(tmpdir(), "imgbuild-bench-"));
  const output = join(work, "medium.iso");
  const make = async () => {
    const ran = await imgbuild(["rescue", "imgbuild/layouts/bios-gpt", "-o", output], {
      env: process.env,
      timeoutMs: commandMs,
    });
    if (ran.code !== 0) throw new Error(ran.stderr);
  };
  try {
    await make();
    const all: Spent[] = [];
    for (let round = 0; round < rounds; round += 1) all.push(await timed(make));
    const size = pair((await stat(output)).size / mib, most.mib);
    const time = pair(least(all).seconds, most.seconds);
    const about = { against: "the most that is asked for", atMost: 1, rounds };
    return [
      { name: "rescue-iso-size", unit: "MiB", ...size, ...about },
      { name: "rescue-iso", unit: "s", ...time, ...about },
    ];
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `recover-offline`: from a blank disk and an offline medium to a healthy system, against a plain boot of the same system. */
export async function recoverRows(): Promise<Row[]> {
  const all: { ours: number; peer: number }[] = [];
  for (let round = 0; round < rounds; round += 1)
    all.push({ peer: await plainBoot(), ours: await recovery() });
  const best = pair(Math.min(...all.map(({ ours }) => ours)), Math.min(...all.map(({ peer }) => peer)));
  const about = { against: "a plain boot of that system", atMost: most.boots, rounds };
  return [{ name: "recover-offline", unit: "s", ...best, ...about }];
}

/** Seconds from the power switch to a healthy system, by its own image. */
async function plainBoot(): Promise<number> {
  const lab = await openLab();
  try {
    const machine = await lab.machine({ definition: recovered, firmware: "bios" });
    const { seconds } = await timed(() => machine.boot());
    return seconds;
  } finally {
    await lab.close();
  }
}

async function recovery(): Promise<number> {
  const ran = await imgbuild(["rescue", "--test", recovered, "--offline", "--firmware", "bios", "--json"], {
    env: process.env,
    timeoutMs: commandMs,
  });
  if (ran.code !== 0) throw new Error(ran.stderr);
  const last = ran.stdout.split("\n").findLast((line) => line.includes('"drill"'));
  return (JSON.parse(last!) as { seconds: number }).seconds;
}
