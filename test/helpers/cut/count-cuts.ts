import type { Cuts, Span } from "./cuts.ts";
import type { Recording } from "./record.ts";
import type { Verdict } from "./verdict.ts";

/** What of a judged recording is published. */
export interface Counted {
  readonly states: number;
  readonly of: Readonly<Record<Verdict, number>>;
  /** In which order the machine is what, while nothing but whole prefixes is on the disk. */
  readonly order: readonly Verdict[];
  /** How long it is dead, and in which steps. */
  readonly deadMs: number;
  readonly deadSteps: readonly string[];
  /** Dead states after the machine is base or new for the first time, and that is flushed. */
  readonly deadLater: number;
}

export function countCuts(cuts: Cuts, recording: Pick<Recording, "times" | "steps">): Counted {
  const sum = (verdict: Verdict) =>
    cuts.classes.reduce((total, one) => total + (one.verdict === verdict ? one.count : 0), 0);
  const dead = cuts.spans.filter(({ verdict }) => verdict === "dead");
  const began = (entry: number) => msOf(recording, cuts.ends[entry]);
  const ended = ({ last }: Span) => began(Math.min(last + 1, cuts.ends.length - 1));
  const order = cuts.spans.map(({ verdict }) => verdict);
  return {
    states: cuts.states,
    of: { old: sum("old"), base: sum("base"), new: sum("new"), dead: sum("dead") },
    order: order.filter((verdict, index) => verdict !== order[index - 1]),
    deadMs: dead.reduce((total, span) => total + ended(span) - began(span.first), 0),
    deadSteps: [...new Set(dead.flatMap((span) => stepsIn(recording, began(span.first), ended(span))))],
    deadLater: cuts.deadLater,
  };
}

/** A row for docs/RELIABILITY.md. */
export function rowOf(name: string, { states, of, deadMs, deadSteps }: Counted): string {
  const steps = deadSteps.length === 0 ? "" : `, from "${deadSteps[0]}" to "${deadSteps.at(-1)}"`;
  return `| \`${name}\` | ${states} | ${of.old} | ${of.base} | ${of.new} | ${of.dead} | ${deadMs} ms${steps} |`;
}

/** When the log had grown to there. */
function msOf({ times }: Pick<Recording, "times">, bytes = 0): number {
  return (times.find((one) => one.bytes >= bytes) ?? times.at(-1))?.ms ?? 0;
}

function stepsIn({ steps }: Pick<Recording, "steps">, from: number, to: number): string[] {
  return steps
    .filter(({ ms }, index) => ms < to && (steps[index + 1]?.ms ?? Number.POSITIVE_INFINITY) > from)
    .map(({ doing }) => doing);
}
