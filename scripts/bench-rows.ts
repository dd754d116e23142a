import { readFileSync } from "node:fs";
import { Fail } from "../src/util/fail.ts";

/** A row of out/bench.json: the best of some rounds, ours and a peer's in one run, with warm package caches for both. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: "s" | "MiB";
  readonly ratio: number;
  /** Seconds of all processes on all cores: a busy machine changes these little. */
  readonly cpu?: { readonly ours: number; readonly peer: number; readonly ratio: number };
  /** The ratio that is asked for, where one is. */
  readonly atMost?: number;
  readonly against: string;
  readonly rounds: number;
  /** Where our time went, in the best round. */
  readonly steps?: readonly string[];
}

const mostRounds = 20;

/** What a command took. */
export interface Spent {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** What it says of its own steps, where it does. */
  readonly steps?: readonly string[];
}

/** ROUNDS of the environment, for a quick look; figures to keep are the best of three. */
export const rounds = roundsFrom(process.env.ROUNDS);

function roundsFrom(text = ""): number {
  const count = text === "" ? 3 : Number(text);
  if (!Number.isInteger(count) || count < 1 || count > mostRounds)
    throw new Fail(`ROUNDS is "${text}"; it can be a whole number from 1 to ${mostRounds}`);
  return count;
}

/** Times both in turns, so that a busy moment of the machine meets both. Each answers what it took. */
export async function inTurns(
  ours: () => Promise<Spent>,
  peer: () => Promise<Spent>,
): Promise<{ readonly ours: Spent; readonly peer: Spent }> {
  const spent: { readonly ours: Spent[]; readonly peer: Spent[] } = { ours: [], peer: [] };
  for (let round = 0; round < rounds; round += 1) {
    spent.ours.push(await ours());
    spent.peer.push(await peer());
  }
  return { ours: least(spent.ours), peer: least(spent.peer) };
}

export function least(all: readonly Spent[]): Spent {
  const [first] = [...all].sort((left, right) => left.seconds - right.seconds);
  return { ...first!, cpuSeconds: Math.min(...all.map((one) => one.cpuSeconds)) };
}

/** Of times. */
export function row(
  name: string,
  best: { readonly ours: Spent; readonly peer: Spent },
  about: Pick<Row, "against" | "atMost">,
): Row {
  const seconds = pair(best.ours.seconds, best.peer.seconds);
  const cpu = pair(best.ours.cpuSeconds, best.peer.cpuSeconds);
  const { steps } = best.ours;
  return { name, unit: "s", ...seconds, cpu, ...about, rounds, ...(steps === undefined ? {} : { steps }) };
}

export function pair(ours: number, peer: number): Pick<Row, "ours" | "peer" | "ratio"> {
  return { ours: round2(ours), peer: round2(peer), ratio: Math.round((ours / peer) * 1000) / 1000 };
}

/** What work takes, and the processes that it starts and waits for. */
export async function timed(work: () => Promise<unknown>): Promise<Spent> {
  const began = performance.now();
  const cpuBefore = childrenCpuSeconds();
  await work();
  return {
    seconds: (performance.now() - began) / 1000,
    cpuSeconds: childrenCpuSeconds() - cpuBefore,
  };
}

/** cutime and cstime of proc_pid_stat(5), in ticks of 10 ms. */
function childrenCpuSeconds(): number {
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
