import type { Facts } from "../../schema/facts.ts";
import type { BaseReport } from "../../schema/journal.ts";
import type { Host } from "../../transport/host.ts";
import type { Inspected, Shipped, Verified } from "./results.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/** A phase of a deploy: it takes what the phase before it gave, and gives its own result. */
export interface Phase<From, To> {
  /** In the report. */
  readonly name: string;
  /** What the log says it does. */
  readonly doing: (inputs: DeployInputs) => string;
  run(inputs: DeployInputs, from: From, world: DeployWorld, trail: Trail): Promise<To>;
  /** Runs at the end of all, whatever came of it, once the phase has begun. */
  readonly cleanup?: (trail: Trail) => Promise<void> | void;
}

/** Runs phases one after the other, each timed in the trail; then clears up, newest first. */
export async function runPhases<A, B, C, D, E, F>(
  phases: readonly [Phase<undefined, A>, Phase<A, B>, Phase<B, C>, Phase<C, D>, Phase<D, E>, Phase<E, F>],
  inputs: DeployInputs,
  world: DeployWorld,
  trail: Trail,
): Promise<F> {
  const begun: Phase<unknown, unknown>[] = [];
  let result: unknown;
  try {
    for (const phase of phases as readonly Phase<unknown, unknown>[]) {
      begun.unshift(phase);
      const start = world.now();
      const from = result;
      try {
        result = await world.log.task(phase.doing(inputs), (log) =>
          phase.run(inputs, from, { ...world, log }, trail),
        );
      } finally {
        trail.mark({ at: "phase", phase: phase.name, seconds: (world.now() - start) / 1000 });
      }
    }
    return result as F;
  } finally {
    for (const { cleanup } of begun) await cleanup?.(trail);
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
  | { readonly at: "sent"; readonly base: number; readonly payload: number }
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
  | { readonly at: "verified"; readonly verified: Verified };

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
