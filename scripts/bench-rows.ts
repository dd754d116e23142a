/** A row of out/bench.json: the best of `rounds`, ours and a peer's in one run, with warm package caches for both. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: "s" | "MiB";
  readonly ratio: number;
}

export const rounds = 3;

/** Times both in turns, so that a busy moment of the machine meets both. Each answers its seconds. */
export async function compare(
  name: string,
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<Row> {
  const best = { ours: Number.POSITIVE_INFINITY, peer: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round += 1) {
    best.ours = Math.min(best.ours, await ours());
    best.peer = Math.min(best.peer, await peer());
  }
  return row(name, best.ours, best.peer, "s");
}

export function row(name: string, ours: number, peer: number, unit: Row["unit"]): Row {
  const ratio = Math.round((ours / peer) * 1000) / 1000;
  const made: Row = { name, ours: round2(ours), peer: round2(peer), unit, ratio };
  console.log(`${name}: ours ${made.ours} ${unit}, peer ${made.peer} ${unit}, ratio ${ratio}`);
  return made;
}

/** Seconds that work takes. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
