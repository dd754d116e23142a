/**
 * One word for a POSIX shell, whatever bytes it holds: single quotes keep everything but themselves (XCU 2.2.2).
 * NUL cannot be passed to a program at all.
 */
export function quoteWord(word: string): string {
  if (word.includes("\0")) throw new Error("an argument cannot hold NUL");
  if (word !== "" && /^[A-Za-z0-9_@+:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line for a POSIX shell that runs exactly this argv; options are ended by the caller's own `--`. */
export function quoteArgv(argv: readonly string[]): string {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("empty argv");
  // Always quoted, so that "if", "a=b" or an alias is a program's name and not the shell's own.
  const first = quoteWord(program);
  return [first.startsWith("'") ? first : `'${first}'`, ...args.map(quoteWord)].join(" ");
}
