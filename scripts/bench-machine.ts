import { readFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheRoot } from "../src/system/files/cache.ts";
import { run } from "../src/system/run/run.ts";
import { messageOf } from "../src/util/fail.ts";
import { silentLog } from "../src/util/log.ts";
import { accelerator } from "../src/vm/machine/accelerator.ts";

const lookMs = 5_000;

/** What a row was measured on; figures of two machines are not compared. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly accelerator: string;
  readonly system: string;
  readonly kernel: string;
}

export async function machine(): Promise<Machine> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const found = await accelerator({
    cache: cacheRoot(process.env),
    override: process.env.IMGBUILD_ACCEL,
    log: silentLog,
  }).catch((error: unknown) => ({ name: messageOf(error) }));
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? "",
    memoryGib: Math.round(totalmem() / 2 ** 30),
    accelerator: found.name,
    system: /^PRETTY_NAME="?(.*?)"?$/m.exec(release)?.[1] ?? "",
    kernel: (await run(["uname", "--kernel-release"])).stdout.trim(),
  };
}

/** Of the programs of this machine that rows are measured against. */
export async function versions(): Promise<Readonly<Record<string, string>>> {
  const packages = ["apt", "mmdebstrap", "qemu-system-x86"];
  const { stdout } = await run(["dpkg-query", "--show", ...packages], { accept: [0, 1] });
  const lines = stdout.trim().split("\n").filter(Boolean);
  return Object.fromEntries(lines.map((line) => line.split("\t") as [string, string]));
}

/** How many cores others keep at work: looked at while nothing of ours runs. Below 0.1, the machine is quiet. */
export async function busyCores(): Promise<number> {
  const before = spent();
  await sleep(lookMs);
  const after = spent();
  const share = (after.busy - before.busy) / (after.all - before.all);
  return Math.round(share * cpus().length * 100) / 100;
}

function spent(): { readonly busy: number; readonly all: number } {
  const sum = (numbers: readonly number[]) => numbers.reduce((left, right) => left + right, 0);
  const each = cpus().map(({ times }) => ({ idle: times.idle, all: sum(Object.values(times)) }));
  const all = sum(each.map((one) => one.all));
  return { busy: all - sum(each.map((one) => one.idle)), all };
}
