import { Consoles } from "../../../src/rescue/consoles.ts";

/** A person at a console: `answers` in order, each with a part of the question that it is for. */
export function consolesWith(answers: readonly (readonly [question: string, answer: string])[] = []): {
  readonly consoles: Consoles;
  /** All that was shown, and typed where it is shown. */
  shown(): string;
  /** What the person saw of the echo, in order. */
  readonly echoes: boolean[];
  /** Answers that were not asked for yet. */
  left(): number;
} {
  const consoles = new Consoles();
  const pending = [...answers];
  const echoes: boolean[] = [];
  let shown = "";
  let type: (line: string) => void = () => {};
  consoles.add({
    write: (text) => {
      shown += text;
      const [next] = pending;
      if (next === undefined || text.endsWith("\n") || !text.includes(next[0])) return;
      pending.shift();
      setImmediate(() => type(next[1]));
    },
    onLine: (listener) => {
      type = listener;
    },
    echo: async (on) => void echoes.push(on),
  });
  return { consoles, shown: () => shown, echoes, left: () => pending.length };
}
