import { execFileSync } from "node:child_process";

/** What a quoting function has to carry as it is, of what a shell, a table, a unit, a boot menu or a filesystem would read into it. */
const pieces: readonly string[] = [
  ...["a", "Z", "7", "word", "=", ":", ",", ".", "..", "/", "@", "+", "_", "~", "^"],
  ...["'", "''", "'\\''", '"', '""', "\\", "\\\\", "\\'", '\\"', "\\n", "\\040", "\\x41", "\\u0041"],
  ...["$", "$$", "$HOME", "$\u007bHOME}", "$(id)", "$((1))", "`id`", "$'a'", '$"a"', "!", "!!", "{{", "}}"],
  ...["*", "?", "[a]", "{a,b}", ";", "&", "&&", "|", "<", ">", ">>", "(", ")", "{", "}", "#", " #"],
  ...["%", "%%", "%s", "%n", "%i", "%H", "-", "--", "-n", "-e", "--help", "if", "do", "EOF", "<8>", "::"],
  ...[" ", "  ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x01", "\x1b[2J", "\x07", "\b", "\x1f", "\x7f"],
  ...["é", "\u0301", "ß", "日本", "\u{1f511}", "\u202e", "\u200b", "\ufeff", "\u0085", "\u2028", "\u00a0"],
];

export interface OddOptions {
  /** Pieces that match it are left out. */
  readonly without?: RegExp;
  readonly maxBytes?: number;
}

/** Strings of such pieces, the same for a seed; some begin with a dash, some are empty, some long. */
export function oddStrings(count: number, seed: number, options: OddOptions = {}): string[] {
  const { without, maxBytes = 400 } = options;
  const random = numbers(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const some = pieces.filter((piece) => without === undefined || !without.test(piece));
  return Array.from({ length: count }, () => {
    const length = below(40) === 0 ? below(60) : below(9);
    let text = below(12) === 0 ? "-" : "";
    for (let index = 0; index < length; index += 1) {
      const piece = some[below(some.length)]!;
      if (Buffer.byteLength(text + piece) <= maxBytes) text += piece;
    }
    return text;
  });
}

/** IMGBUILD_SEED makes a failure again; `make matrix CASE=quoting` takes ten times as many strings. */
export const seed = Number(process.env.IMGBUILD_SEED ?? Math.floor(Math.random() * 2 ** 31));
export const howMany = Number(process.env.IMGBUILD_STRINGS ?? 10_000);

export const testMs = 60_000 + howMany * 6;
export const maxBuffer = 256 * 2 ** 20;
export const shells = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]] as const;

/** What a shell gives back of words, written by `line` in batches: it prints each with a NUL. */
export function through(
  shell: readonly string[],
  words: readonly string[],
  line: (words: readonly string[]) => string,
): string[] {
  return batches(words, 400).flatMap((batch) => {
    const options = { input: `${line(batch)}\n`, encoding: "utf8", maxBuffer } as const;
    const out = execFileSync(shell[0]!, [...shell.slice(1), "-s"], options);
    return out.split("\0").slice(0, -1);
  });
}

/** Fails for the first string that did not come back as it was, with what makes it again. */
export function expectSame(back: readonly string[], given: readonly string[]): void {
  const at = given.findIndex((text, index) => text !== back[index]);
  if (at < 0 && back.length === given.length) return;
  const what =
    at < 0
      ? `${back.length} came back instead of ${given.length}`
      : `${JSON.stringify(given[at])} came back as ${JSON.stringify(back[at])}`;
  throw new Error(`${what}; again: IMGBUILD_SEED=${seed}`);
}

export function batches<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

/** Mulberry32. */
export function numbers(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
