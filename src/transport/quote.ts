import { shellWord } from "../util/shell-word.ts";

/** One word for a POSIX shell, as it is where nothing in it needs quotes. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@+:,./-]+$/.test(word) ? word : shellWord(word);
}

/** A command line for a POSIX shell that runs exactly this argv; options are ended by the caller's own `--`. */
export function quoteArgv(argv: readonly string[]): string {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("empty argv");
  // Always quoted, so that "if", "a=b" or an alias is a program's name and not the shell's own.
  return [shellWord(program), ...args.map(quoteWord)].join(" ");
}
