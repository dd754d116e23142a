import { Command, Option } from "commander";
import { commands } from "./commands.ts";
import { examples } from "./examples.ts";
import type { Act } from "./terminal/context.ts";

/** The command line: what is accepted, and what it calls; its complaints go to `writeErr`. */
export function commandLine(act: Act, writeErr: (text: string) => void): Command {
  const program = new Command("imgbuild")
    .description("A whole Debian server as one typed file: built, tested in a VM, deployed over a live host.")
    .version("0.1.0")
    .option("--json", "newline-delimited JSON events on stdout")
    .addOption(new Option("-q, --quiet", "no progress, only warnings and errors").conflicts("verbose"))
    .option("-v, --verbose", "plain lines instead of a live list, and each program that runs")
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride()
    // Before the commands are added: each of them gets it.
    .configureOutput({ writeErr })
    .showHelpAfterError("run with --help to see what is accepted");
  for (const command of commands) command(program, act);
  showExamples(program, []);
  return program;
}

function showExamples(command: Command, words: readonly string[]): void {
  const own = examples[words.join(" ")] ?? [];
  if (own.length > 0)
    command.addHelpText(
      "after",
      ["", "Examples:", ...own.flatMap(([line, does]) => [`  ${line}`, `      ${does}`])].join("\n"),
    );
  for (const below of command.commands) showExamples(below, [...words, below.name()]);
}
