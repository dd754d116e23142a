import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Command } from "commander";
import { cacheRoot } from "../../system/files/cache.ts";
import { onEachRun, showArgv } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import { type Log, plainLog } from "../../util/log.ts";
import { Secret } from "../../util/secret.ts";
import { visibleJson, visibleLine } from "../../util/visible.ts";
import { type Colours, coloursFor } from "./colour.ts";
import { jsonLog, liveLog, quietLog } from "./log.ts";
import { timings } from "./timings.ts";

/** What every command gets: the outside world, as parameters. */
export interface Cli {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The command line, without node and program. */
  readonly argv: readonly string[];
  readonly log: Log;
  readonly json: boolean;
  /** A person is there to answer. */
  readonly interactive: boolean;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly cache: string;
  /** One line of data for the user, on stdout, made harmless for a terminal; with --json only `emit` writes there. */
  print(line: string): void;
  /** One event as a JSON line on stdout; nothing without --json. */
  emit(event: Record<string, unknown>): void;
  /** Asks on the terminal; refuses without a terminal. */
  ask(question: string): Promise<string>;
  askSecret(question: string): Promise<Secret>;
  readonly colours: Colours;
  /** Keeps how long each task took: the command has done its work. */
  done(): Promise<void>;
  close(): void;
}

/** What `--json`, `--quiet` and `--verbose` ask for. */
interface Shown {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** Makes the context from the process; the one place besides `main.ts` that sees it. */
export function makeCli(options: Shown & { argv: readonly string[] }, signal: AbortSignal): Cli {
  const { env, stdin, stdout, stderr } = process;
  const interactive = stdin.isTTY === true && stderr.isTTY === true;
  const emit = (event: Record<string, unknown>) => {
    if (options.json) stdout.write(`${visibleJson({ at: new Date().toISOString(), ...event })}\n`);
  };
  const cache = cacheRoot(env);
  const colours = coloursFor(stderr, env);
  const before = timings(cache, `${process.cwd()}: ${options.argv.join(" ")}`);
  const isLive = !options.json && !options.quiet && !options.verbose && stderr.isTTY;
  const live = isLive ? liveLog(stderr, Date.now, { colours, last: before.last }) : undefined;
  const plain = options.quiet ? quietLog(stderr) : plainLog(stderr, Date.now);
  const log = options.json ? jsonLog(emit, Date.now) : (live?.log ?? plain);
  if (options.verbose)
    onEachRun((argv) => {
      if (options.json) emit({ event: "run", argv });
      else stderr.write(`$ ${visibleLine(showArgv(argv))}\n`);
    });
  const aside = <T>(work: () => Promise<T>) => (live === undefined ? work() : live.aside(work));
  const refuse = (question: string) => {
    if (!interactive)
      throw new Fail(`there is no terminal to ask "${visibleLine(question)}"`, {
        hint: "run it in a terminal, or give the answer as an option (see --help)",
        exitCode: 3,
      });
  };
  return {
    env,
    argv: options.argv,
    log,
    json: options.json,
    interactive,
    signal,
    cache,
    colours,
    print: (line) => {
      if (!options.json) stdout.write(`${visibleLine(line)}\n`);
    },
    emit,
    async ask(question) {
      refuse(question);
      return await aside(() => readLine(visibleLine(question), false, signal));
    },
    async askSecret(question) {
      refuse(question);
      return new Secret(
        "answer",
        Buffer.from(await aside(() => readLine(visibleLine(question), true, signal)), "utf8"),
      );
    },
    done: async () => {
      if (live !== undefined) await before.save(live.timeline());
    },
    close: () => live?.stop(),
  };
}

/** One line from the terminal; with `hidden` nothing of it is shown. */
async function readLine(question: string, hidden: boolean, signal: AbortSignal): Promise<string> {
  const { stdin: input, stderr } = process;
  // readline draws its line anew at each key, over what is there: so it gets the question, or nothing to draw on.
  const output = hidden ? new Writable({ write: (_chunk, _encoding, done) => done() }) : stderr;
  const lines = createInterface({ input, output, terminal: true });
  if (hidden) stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      lines.on("close", () => reject(new Fail("no answer was given", { exitCode: 3 })));
      lines.question(hidden ? "" : question, resolve);
    });
  } finally {
    lines.close();
    if (hidden) stderr.write("\n");
  }
}

/** Gives a command's action the context; what the action throws becomes message and exit code. */
export type Act = (run: (cli: Cli) => Promise<void>) => Promise<void>;
/** Adds one command to the program. */
export type AddCommand = (program: Command, act: Act) => void;
