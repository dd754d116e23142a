import type { BaseReport } from "../../schema/base/journal.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Host } from "../../transport/host.ts";
import type { Proof } from "./prove.ts";
import type { Inspected, Shipped } from "./results.ts";
import type { DeployWorld } from "./world.ts";

/** Runs a phase of a deploy as a task of the log, timed in the trail. `name` is that of the report. */
export async function runPhase<T>(
  name: string,
  doing: string,
  { world, trail }: { readonly world: DeployWorld; readonly trail: Trail },
  run: (world: DeployWorld) => Promise<T>,
): Promise<T> {
  const start = world.now();
  try {
    return await world.log.task(doing, (log) => run({ ...world, log }));
  } finally {
    trail.mark({ at: "phase", phase: name, seconds: (world.now() - start) / 1000 });
  }
}

/** A point that a deploy has reached. */
type Mark =
  | { readonly at: "phase"; readonly phase: string; readonly seconds: number }
  | { readonly at: "connected"; readonly old: Host }
  | { readonly at: "looked"; readonly facts: Facts }
  | { readonly at: "inspected"; readonly inspected: Inspected }
  /** Something of ours is on the old system, in RAM. */
  | { readonly at: "touched"; readonly old: Host }
  /** Bytes went to the machine. */
  | { readonly at: "sent"; readonly base: number; readonly payload: number; readonly tree?: number }
  /** The old system has fetched packages, for a tree that it made. */
  | { readonly at: "fetched"; readonly packages: number; readonly bytes: number }
  /** The old system was asked to start the base, at that time. */
  | { readonly at: "jumped"; readonly shipped: Shipped; readonly now: number }
  | { readonly at: "base"; readonly bootId: string }
  /** GO was sent: from here on the disks may have been written, whether we heard of it or not. */
  | { readonly at: "go" }
  /** The runner reported the first write. */
  | { readonly at: "ponr" }
  | { readonly at: "base report"; readonly report: BaseReport }
  /** The new system answered first at that time. */
  | { readonly at: "answered"; readonly now: number }
  | { readonly at: "verified"; readonly verified: Proof };

type Of<At extends Mark["at"]> = Extract<Mark, { readonly at: At }>;

/**
 * What a deploy has reached, in order: its report and its way back go by it, wherever it ends. Phases mark it; what they need of one
 * another they are given.
 */
export interface Trail {
  mark(mark: Mark): void;
  has(at: Mark["at"]): boolean;
  all<At extends Mark["at"]>(at: At): readonly Of<At>[];
  /** The last such point; undefined where it was not reached. */
  last<At extends Mark["at"]>(at: At): Of<At> | undefined;
}

export function newTrail(): Trail {
  const marks: Mark[] = [];
  const all = <At extends Mark["at"]>(at: At) => marks.filter((mark): mark is Of<At> => mark.at === at);
  return {
    mark: (mark) => void marks.push(mark),
    has: (at) => all(at).length > 0,
    all,
    last: (at) => all(at).at(-1),
  };
}
