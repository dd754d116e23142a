import { Fail } from "../src/util/fail.ts";

/** A row of out/bench.json: the best of some rounds, ours and a peer's in one run, with warm package caches for both. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: "s" | "MiB";
  readonly ratio: number;
  /** The ratio that is asked for, where one is. */
  readonly atMost?: number;
  readonly against: string;
  readonly rounds: number;
}

const mostRounds = 20;

/** ROUNDS of the environment, for a quick look; figures to keep are the best of three. */
export const rounds = roundsFrom(process.env.ROUNDS);

function roundsFrom(text = ""): number {
  const count = text === "" ? 3 : Number(text);
  if (!Number.isInteger(count) || count < 1 || count > mostRounds)
    throw new Fail(`ROUNDS is "${text}"; it can be a whole number from 1 to ${mostRounds}`);
  return count;
}

/** Times both in turns, so that a busy moment of the machine meets both. Each answers its seconds. */
export async function inTurns(
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<{ readonly ours: number; readonly peer: number }> {
  const best = { ours: Number.POSITIVE_INFINITY, peer: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round += 1) {
    best.ours = Math.min(best.ours, await ours());
    best.peer = Math.min(best.peer, await peer());
  }
  return best;
}

export function row(
  name: string,
  best: { readonly ours: number; readonly peer: number },
  about: { readonly against: string; readonly unit?: Row["unit"]; readonly atMost?: number },
): Row {
  const unit = about.unit ?? "s";
  return {
    ...{ name, ours: round2(best.ours), peer: round2(best.peer), unit },
    ratio: Math.round((best.ours / best.peer) * 1000) / 1000,
    ...(about.atMost === undefined ? {} : { atMost: about.atMost }),
    ...{ against: about.against, rounds },
  };
}

/** Seconds that work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
