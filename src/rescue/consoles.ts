import { Secret } from "../util/secret.ts";
import { visibleLine } from "../util/visible.ts";

/** What a serial line and a screen have. */
const columns = 80;
/** Of what was shown, for who comes later. */
const keptLines = 60;

/** One place where a person may sit. What it gives are whole lines. */
export interface Terminal {
  write(text: string): void;
  onLine(listener: (line: string) => void): void;
  /** Whether what is typed is shown; done when it is so. */
  echo(on: boolean): Promise<void>;
}

/** Every console of the machine, and each login over SSH: all show the same, and the first that answers is taken. */
export class Consoles {
  readonly #terminals = new Set<Terminal>();
  readonly #shown: string[] = [];
  #question: { readonly text: string; readonly hidden: boolean; answer(line: string): void } | undefined;

  /** Until the returned function is called. */
  add(terminal: Terminal): () => void {
    this.#terminals.add(terminal);
    for (const line of this.#shown) terminal.write(`${line}\n`);
    terminal.onLine((line) => this.#answer(line));
    const question = this.#question;
    if (question?.hidden === false) terminal.write(question.text);
    else if (question !== undefined)
      void terminal.echo(false).then(() => {
        if (this.#question === question) terminal.write(question.text);
      });
    return () => this.#terminals.delete(terminal);
  }

  /** A line, in several where it is longer than a screen is wide. */
  print(line = ""): void {
    for (const part of wrapped(line)) {
      this.#shown.push(part);
      if (this.#shown.length > keptLines) this.#shown.shift();
      for (const terminal of this.#terminals) terminal.write(`${part}\n`);
    }
  }

  async ask(question: string): Promise<string> {
    return (await this.#read(question, false)).trim();
  }

  /** What is typed is not shown. */
  async askSecret(name: string, question: string): Promise<Secret> {
    return new Secret(name, Buffer.from(await this.#read(question, true), "utf8"));
  }

  /** Undefined when no line is typed in that time. */
  async askWithin(question: string, ms: number): Promise<string | undefined> {
    const timer = { id: undefined as NodeJS.Timeout | undefined };
    const late = new Promise<undefined>((resolve) => {
      timer.id = setTimeout(() => {
        this.#question = undefined;
        resolve(undefined);
      }, ms);
    });
    const answer = await Promise.race([this.ask(question), late]);
    clearTimeout(timer.id);
    return answer;
  }

  async #read(text: string, hidden: boolean): Promise<string> {
    // The question comes last: what is typed after it is not shown.
    if (hidden) await Promise.all([...this.#terminals].map((terminal) => terminal.echo(false)));
    return await new Promise((resolve) => {
      const answer = (line: string) => {
        this.#question = undefined;
        if (!hidden) return resolve(line);
        for (const terminal of this.#terminals) terminal.write("\n");
        void Promise.all([...this.#terminals].map((terminal) => terminal.echo(true))).then(() =>
          resolve(line),
        );
      };
      this.#question = { text, hidden, answer };
      for (const terminal of this.#terminals) terminal.write(text);
    });
  }

  #answer(line: string): void {
    this.#question?.answer(line);
  }
}

/** At most `columns` wide, broken at spaces; what follows is indented by two more than the line was. */
function wrapped(text: string): string[] {
  let rest = visibleLine(text);
  const indent = `${/^ */.exec(rest)![0]}  `.slice(0, columns / 2);
  const lines: string[] = [];
  while (rest.length > columns) {
    const at = rest.lastIndexOf(" ", columns);
    const cut = at > indent.length ? at : columns;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = `${indent}${rest.slice(cut).trimStart()}`;
  }
  return [...lines, rest];
}
