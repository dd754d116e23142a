import { inspect } from "node:util";
import { CommanderError } from "commander";
import { commandLine } from "./cli/program.ts";
import { Ended } from "./cli/terminal/as-root.ts";
import { type Cli, makeCli } from "./cli/terminal/context.ts";
import { asFail, exitCodes, Fail } from "./util/fail.ts";
import { visibleText, visibleUnder } from "./util/visible.ts";

/** Signals within this time are one interruption: a terminal and `npm` or `make` pass the same one on. */
const sameSignalMs = 1_000;
/** After an interruption: how long clearing up may take. */
const clearUpMs = 60_000;

/** Where a command has nothing else to say of what an interruption leaves. */
const nothingLeft =
  "nothing half-done is left; what was finished is in the cache, and the same command goes on from there";

/** The operator's entry: parses, runs one command, and turns whatever happens into an exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  endWith(stop);
  let cli: Cli | undefined;
  const program = commandLine(
    (run) => run(context()),
    (text) => process.stderr.write(visibleText(text)),
  );
  const context = () => {
    const { json = false, quiet = false, verbose = false } = program.opts<Partial<Record<string, boolean>>>();
    cli ??= makeCli({ json, quiet, verbose, argv }, stop.signal);
    return cli;
  };
  try {
    await program.parseAsync([...argv], { from: "user" });
    await cli?.done();
  } catch (error) {
    process.exitCode = tell(error, context(), stop.signal);
  } finally {
    cli?.close();
    // A child, a socket or a timer left over must not keep a finished command alive.
    setTimeout(() => process.exit(), 2_000).unref();
  }
}

/** Signals, a closed output and stray errors end the command by its own way out, so that it clears up behind itself. */
function endWith(stop: AbortController): void {
  let began = 0;
  const end = (reason: Fail | Error, exitCode: number) => {
    if (began > 0) return;
    began = Date.now();
    process.exitCode = exitCode;
    setTimeout(() => process.exit(exitCode), clearUpMs).unref();
    stop.abort(reason);
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      if (began > 0 && Date.now() - began > sameSignalMs) process.exit(exitCodes.interrupted);
      end(
        new Fail("interrupted", { exitCode: exitCodes.interrupted, hint: nothingLeft }),
        exitCodes.interrupted,
      );
    });
  for (const name of ["uncaughtException", "unhandledRejection"] as const)
    process.on(name, (error: Error) => end(error, asFail(error)?.exitCode ?? exitCodes.bug));
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", () => end(new Fail("nobody reads the output any more"), exitCodes.failed));
}

/** Shows what was thrown, and gives the exit code for it. */
function tell(error: unknown, cli: Cli, signal: AbortSignal): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done;
    // Commander has said it on stderr; with no arguments at all it shows the help, which is no event.
    const message = error.message.replace(/^error: /, "").replace("(outputHelp)", "no command is given");
    cli.emit({ event: "error", message, hint: "run with --help to see what is accepted" });
    return exitCodes.usage;
  }
  cli.close();
  if (error instanceof Ended) return error.exitCode;
  // What an interruption breaks on its way is of no interest, but for a command's own words about it.
  const told = error instanceof Fail && error.exitCode === exitCodes.interrupted;
  const first: unknown = signal.aborted && !told ? signal.reason : error;
  const shown = asFail(first);
  if (shown === undefined) {
    console.error(visibleText(inspect(first)));
    console.error("this is a bug in imgbuild");
    cli.emit({ event: "error", bug: true, message: String(first) });
    return exitCodes.bug;
  }
  // Deeper than any line of ours, so that what a host printed cannot pass for a hint.
  const { bad, faint } = cli.colours;
  console.error(`${bad("error:")} ${visibleUnder(shown.message, "    ")}`);
  if (shown.hint !== undefined) console.error(`  ${faint("hint:")} ${visibleUnder(shown.hint, "  ")}`);
  cli.emit({
    event: "error",
    message: shown.message,
    ...(shown.hint === undefined ? {} : { hint: shown.hint }),
  });
  return shown.exitCode;
}
