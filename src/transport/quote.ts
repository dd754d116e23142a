/**
 * One word for a POSIX shell, whatever bytes it holds: single quotes keep everything but themselves (XCU 2.2.2).
 * NUL cannot be passed to a program at all.
 */
export function quoteWord(word: string): string {
  if (word.includes("\0")) throw new Error("an argument cannot hold NUL");
  if (word !== "" && /^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line for a POSIX shell that runs exactly this argv; `--` ends no options here, the caller's argv does. */
export function quoteArgv(argv: readonly string[]): string {
  if (argv.length === 0) throw new Error("empty argv");
  // `command` keeps a first word such as "if" or "a=b" from being read as syntax; a path is never that.
  return argv.map(quoteWord).join(" ");
}
