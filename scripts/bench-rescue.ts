import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { least, pair, type Row, rounds, type Spent, timed } from "./bench-rows.ts";

const commandMs = 1_800_000;
const mib = 2 ** 20;
/** What is asked for. */
const most = { mib: 150, seconds: 10 };

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
