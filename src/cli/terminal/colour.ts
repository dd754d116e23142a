/** Marks in colour where a terminal shows them and the user has not asked for none (NO_COLOR, TERM=dumb). */
export interface Colours {
  good(text: string): string;
  bad(text: string): string;
  careful(text: string): string;
  faint(text: string): string;
}

export function coloursFor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Colours {
  const on = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  const paint = (code: number) => (text: string) => (on ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { good: paint(32), bad: paint(31), careful: paint(33), faint: paint(2) };
}
