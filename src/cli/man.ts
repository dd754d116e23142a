import type { Command } from "commander";
import { examples } from "./examples.ts";

/** The manual pages of a program and its commands, by file name ("imgbuild-deploy.1"): what `--help` says, for man(7). */
export function manPages(program: Command): ReadonlyMap<string, string> {
  const below = (command: Command, words: readonly string[]): [string, string][] => {
    const shown = command
      .createHelp()
      .visibleCommands(command)
      .filter((one) => one.name() !== "help");
    const name = [program.name(), ...words].join("-");
    return [
      [`${name}.1`, page(command, words, shown)],
      ...shown.flatMap((one) => below(one, [...words, one.name()])),
    ];
  };
  return new Map(below(program, []));
}

function page(command: Command, words: readonly string[], shown: readonly Command[]): string {
  const help = command.createHelp();
  const title = ["imgbuild", ...words];
  const about = help.commandDescription(command);
  return [
    `.TH ${quoted(title.join("-").toUpperCase())} 1 "" imgbuild`,
    // A word that is divided is found by no search.
    ".nh",
    ".SH NAME",
    `${text(title.join("-"))} \\- ${text(about)}`,
    ".SH SYNOPSIS",
    bold(help.commandUsage(command)),
    ...section(
      "ARGUMENTS",
      help.visibleArguments(command).map((one) => [one.name(), help.argumentDescription(one)]),
    ),
    ...section(
      "COMMANDS",
      shown.map((one) => [[...words, one.name()].join(" "), help.subcommandDescription(one)]),
    ),
    ...section(
      "OPTIONS",
      [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].map((one) => [
        one.flags,
        help.optionDescription(one),
      ]),
    ),
    ...section("EXAMPLES", [...(examples[words.join(" ")] ?? [])]),
    ...(words.length > 0 ? [".SH SEE ALSO", ".BR imgbuild (1)"] : exitCodes),
    "",
  ].join("\n");
}

const exitCodes = section("EXIT STATUS", [
  ["0", "done"],
  ["1", "failed; a message and a hint say why"],
  ["2", "wrong usage"],
  ["3", "refused before anything was changed, or not confirmed"],
  ["4", "a deploy failed before any disk was written, and the old system serves again"],
  ["70", "a bug in imgbuild"],
  ["130", "interrupted"],
]);

function section(name: string, entries: readonly (readonly [term: string, about: string])[]): string[] {
  if (entries.length === 0) return [];
  return [`.SH ${quoted(name)}`, ...entries.flatMap(([term, about]) => [".TP", bold(term), text(about)])];
}

function bold(words: string): string {
  return `.B ${quoted(words)}`;
}

/** An argument of a macro, quoted as a single word. */
function quoted(words: string): string {
  return `"${escaped(words).replaceAll('"', '""')}"`;
}

/** A line of its own, which no dot or quote at its beginning makes a macro. */
function text(words: string): string {
  return escaped(words).replace(/^(?=[.'])/, "\\&");
}

function escaped(words: string): string {
  return words
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/\s*\n\s*/g, " ")
    .replaceAll("~", "\\(ti");
}
