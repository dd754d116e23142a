/** One word of a POSIX shell, always in single quotes, which keep everything but themselves (XCU 2.2.2). */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new Error("a word of a shell cannot hold NUL");
  return `'${text.replaceAll("'", "'\\''")}'`;
}
