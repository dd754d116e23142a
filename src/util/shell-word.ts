/** One word of a POSIX shell, always in single quotes, which keep everything but themselves (XCU 2.2.2). */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new Error("a word of a shell cannot hold NUL");
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command line for a POSIX shell that runs exactly this argv; options are ended by the caller's own `--`. */
export function shellLine(argv: readonly string[]): string {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("empty argv");
  const plain = (word: string) => /^[A-Za-z0-9_@+:,./-]+$/.test(word);
  // The program always in quotes, so that "if", "a=b" or an alias is a program's name and not the shell's own.
  return [shellWord(program), ...args.map((word) => (plain(word) ? word : shellWord(word)))].join(" ");
}
