import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { cpioBytes } from "../../src/archive/cpio.ts";
import { buildBase } from "../../src/operator/base/base.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { takePlace } from "../../src/vm/lab/room.ts";
import { accelerator } from "../../src/vm/machine/accelerator.ts";
import { startQemu } from "../../src/vm/machine/qemu.ts";
import { makeConsole } from "../../src/vm/shell/console.ts";
import { lostLease, taggedStacks } from "../helpers/builders/stacks.ts";
import { expectSame, roundTripsIn } from "../helpers/checks/round-trips.ts";
import { bundleRoundTrip, resultsPort } from "../helpers/labs/round-trip-program.ts";

const env = process.env;
const signal = new AbortController().signal;
const minute = 60_000;
const stacks = [...taggedStacks, lostLease];

/** The base with a program in its runner's place, which prints by a port what it found. */
async function runInBase(directory: string): Promise<string> {
  const cache = cacheRoot(env);
  const base = await buildBase({ cache, env, log: silentLog, signal });
  const kind = await accelerator({ cache, override: env.IMGBUILD_ACCEL, log: silentLog, signal });
  const file = (name: string, content: Uint8Array) =>
    ({ type: "file", name: `imgbuild/${name}`, mode: 0o600, content }) as const;
  const own = await cpioBytes([
    file("runner.cjs", await bundleRoundTrip()),
    file("stacks.json", Buffer.from(JSON.stringify(stacks))),
  ]);
  const parts = [await readFile(base.outer.path), await readFile(base.squashfs.path), own];
  const initrd = join(directory, "initrd");
  writeFileSync(initrd, Buffer.concat(parts));
  const place = await takePlace({ log: silentLog, signal });
  const qemu = await startQemu(
    {
      ...{ name: "network", memoryMib: 1024, cpus: 1, accelerator: kind.name, nics: [], disks: [] },
      consoleFile: join(directory, "console.log"),
      direct: { kernel: base.kernel.path, initrd, cmdline: ["console=ttyS0", "panic=20"] },
      ...{ once: true, port: resultsPort },
    },
    signal,
  );
  try {
    const { console, append } = makeConsole();
    qemu.serial.setEncoding("utf8").on("data", append);
    let printed = "";
    qemu.shell.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    await qemu.qmp.execute("cont");
    const until = Date.now() + 5 * minute * kind.scale;
    while (!printed.includes("round-trip end")) {
      if (Date.now() > until)
        throw new Error(`the base did not end\n${console.text.slice(-3000)}\n${printed}`);
      await sleep(500);
    }
    return printed;
  } finally {
    await qemu.stop();
    place.leave();
  }
}

describe("network-replay: in the base, an old system's network (F09)", () => {
  let trips: ReturnType<typeof roundTripsIn>;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "imgbuild-base-network-"));
    trips = roundTripsIn(await runInBase(directory));
  }, 90 * minute);
  afterAll(() => rmSync(directory, { recursive: true }));

  for (const stack of stacks)
    it(`is what it was: ${stack.name}`, () => {
      expectSame(stack, trips);
    });
});
