import { Command, CommanderError } from "commander";
import { commands } from "./cli/commands.ts";
import { type Cli, makeCli } from "./cli/context.ts";
import { exitCodes, Fail } from "./util/fail.ts";

/** The operator's entry: parses, runs one command, and turns whatever happens into an exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => stop.abort(new Fail("interrupted", { exitCode: exitCodes.interrupted })));
  let cli: Cli | undefined;
  const program = new Command("imgbuild")
    .description("A whole Debian server as one typed file: built, tested in a VM, deployed over a live host.")
    .version("0.1.0")
    .option("--json", "newline-delimited JSON events on stdout")
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError("run with --help to see what is accepted");
  for (const command of commands)
    command(program, async (run) => {
      cli = makeCli({ json: program.opts().json === true }, stop.signal);
      await run(cli);
    });
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    process.exitCode = tell(error, cli, stop.signal);
  } finally {
    cli?.close();
    // A child, a socket or a timer left over must not keep a finished command alive.
    setTimeout(() => process.exit(), 2_000).unref();
  }
}

function tell(error: unknown, cli: Cli | undefined, signal: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  cli?.close();
  const told = error instanceof Fail && error.exitCode === exitCodes.interrupted;
  const shown = signal.aborted && signal.reason instanceof Fail && !told ? signal.reason : error;
  if (!(shown instanceof Fail)) {
    console.error(shown);
    console.error("this is a bug in imgbuild");
    cli?.emit({ event: "error", bug: true, message: String(shown) });
    return exitCodes.bug;
  }
  console.error(`error: ${shown.message}`);
  if (shown.hint !== undefined) console.error(`  hint: ${shown.hint}`);
  cli?.emit({
    event: "error",
    message: shown.message,
    ...(shown.hint === undefined ? {} : { hint: shown.hint }),
  });
  return shown.exitCode;
}
