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
  #question: { readonly text: string; readonly hidden: boolean; answer(line?: string): void } | undefined;

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
    for (const part of wrapped(plain(line))) {
      this.#shown.push(part);
      if (this.#shown.length > keptLines) this.#shown.shift();
      for (const terminal of this.#terminals) terminal.write(`${part}\n`);
    }
  }

  async ask(question: string): Promise<string> {
    return ((await this.#read(question, false)) ?? "").trim();
  }

  /** What is typed is not shown. */
  async askSecret(name: string, question: string): Promise<Secret> {
    return secretOf(name, (await this.#read(question, true)) ?? "");
  }

  /** Undefined when no line is typed before something else happens. */
  async askUntil(question: string, until: Promise<unknown>): Promise<string | undefined> {
    return (await this.#read(question, false, until))?.trim();
  }

  /** The same of what is not shown. */
  async askSecretUntil(name: string, question: string, until: Promise<unknown>): Promise<Secret | undefined> {
    const line = await this.#read(question, true, until);
    return line === undefined ? undefined : secretOf(name, line);
  }

  /** Undefined when no line is typed in that time. */
  async askWithin(question: string, ms: number): Promise<string | undefined> {
    const timer = { id: undefined as NodeJS.Timeout | undefined };
    const late = new Promise((resolve) => {
      timer.id = setTimeout(resolve, ms);
    });
    const answer = await this.askUntil(question, late);
    clearTimeout(timer.id);
    return answer;
  }

  async #read(question: string, hidden: boolean, until?: Promise<unknown>): Promise<string | undefined> {
    const text = plain(question);
    // The question comes last: what is typed after it is not shown.
    if (hidden) await Promise.all([...this.#terminals].map((terminal) => terminal.echo(false)));
    return await new Promise((resolve) => {
      const answer = (line?: string) => {
        if (this.#question !== asked) return;
        this.#question = undefined;
        if (hidden || line === undefined) for (const terminal of this.#terminals) terminal.write("\n");
        if (!hidden) return resolve(line);
        void Promise.all([...this.#terminals].map((terminal) => terminal.echo(true))).then(() =>
          resolve(line),
        );
      };
      const asked = { text, hidden, answer };
      this.#question = asked;
      for (const terminal of this.#terminals) terminal.write(text);
      void until?.then(() => answer());
    });
  }

  #answer(line: string): void {
    this.#question?.answer(line);
  }
}

function secretOf(name: string, line: string): Secret {
  return new Secret(name, Buffer.from(line, "utf8"));
}

/** The fonts of screens lack some characters that we use. */
function plain(text: string): string {
  return text.replaceAll("…", "...");
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
