import type { Argument, Command, Option } from "commander";

/** What the machine has that a word may name. */
export interface Look {
  /** Directories with an IMGBUILD.ts, as one types them. */
  definitions(): readonly string[];
  /** Hosts of hosts.yaml: each stands for a definition, and for where it runs. */
  readonly named: readonly string[];
  /** Hosts of ssh_config. */
  aliases(): readonly string[];
}

interface Candidates {
  /** Whether the shell's own names of files or directories do, where no word fits. */
  readonly also: "nothing" | "files" | "directories";
  readonly words: readonly (readonly [word: string, about: string])[];
}

const nothing: Candidates = { also: "nothing", words: [] };

/** What may stand in the place of the last of `words`, which come after the program's name. */
export function candidates(program: Command, words: readonly string[], look: Look): Candidates {
  const current = words.at(-1) ?? "";
  const { command, free, open } = walk(program, words.slice(0, -1));
  if (open !== undefined) return startingWith(current, valuesOf(open, look));
  if (current.startsWith("-")) return startingWith(current, optionsOf(command));
  if (command.commands.length > 0) return startingWith(current, subcommandsOf(command));
  const declared = command.registeredArguments;
  const argument = declared[free] ?? (declared.at(-1)?.variadic ? declared.at(-1) : undefined);
  return argument === undefined ? nothing : startingWith(current, valuesOf(argument, look));
}

/** Where the words before lead: the command, how many arguments it has, and an option that waits for its value. */
function walk(program: Command, words: readonly string[]): { command: Command; free: number; open?: Option } {
  let command = program;
  let free = 0;
  let open: Option | undefined;
  let onlyArguments = false;
  for (const word of words) {
    if (open !== undefined) open = undefined;
    else if (!onlyArguments && word === "--") onlyArguments = true;
    else if (!onlyArguments && word.startsWith("-")) open = waiting(command, word);
    else {
      const below = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (below === undefined) free += 1;
      else [command, free] = [below, 0];
    }
  }
  return open === undefined ? { command, free } : { command, free, open };
}

function waiting(command: Command, word: string): Option | undefined {
  const option = allOptions(command).find(({ long, short }) => word === long || word === short);
  return option?.required ? option : undefined;
}

function allOptions(command: Command): readonly Option[] {
  const above = command.parent === null ? [] : allOptions(command.parent);
  return [...command.options, ...above.filter(({ long }) => long !== "--version")];
}

function optionsOf(command: Command): Candidates {
  const options = allOptions(command).filter(({ hidden }) => !hidden);
  return {
    also: "nothing",
    words: [
      ...options.map(({ long, description }) => [long!, description] as const),
      ["--help", "what is accepted"],
    ],
  };
}

function subcommandsOf(command: Command): Candidates {
  const shown = command.createHelp().visibleCommands(command);
  return { also: "nothing", words: shown.map((one) => [one.name(), one.description()]) };
}

/** By the word in angle brackets, as the help shows it. */
function valuesOf(value: Option | Argument, look: Look): Candidates {
  if (value.argChoices !== undefined)
    return { also: "nothing", words: value.argChoices.map((word) => [word, ""]) };
  const kind = "flags" in value ? /<([A-Z]+)>/.exec(value.flags)?.[1] : value.name();
  const named = (names: readonly string[], about: string) => names.map((name) => [name, about] as const);
  const hosts = named(look.named, "host of hosts.yaml");
  if (kind === "DEF")
    return { also: "directories", words: [...hosts, ...named(look.definitions(), "definition")] };
  if (kind === "HOST") return { also: "nothing", words: [...hosts, ...named(look.aliases(), "host")] };
  if (kind === "DIR") return { also: "directories", words: [] };
  if (kind === "FILE" || kind === "IMAGE") return { also: "files", words: [] };
  return nothing;
}

function startingWith(current: string, { also, words }: Candidates): Candidates {
  const fitting = words.filter(([word]) => word.startsWith(current));
  return { also: fitting.length === 0 ? also : "nothing", words: fitting };
}
