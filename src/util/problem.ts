import { Fail } from "./fail.ts";

/** No name that anybody mistypes is longer. */
const longestMeant = 200;
/** Names that a message lists. */
const mostNames = 20;

/** What is wrong at one field of a definition. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** The wrong value as it is written, by which its line is found where a function of the definition made the field. */
  readonly says?: string | undefined;
}

/** A definition that does not fit what was made of it so far. Whoever has its text adds the lines. */
export class WrongFields extends Fail {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(({ path, message }) => `${showPath(path)}: ${message}`);
    super(lines.join("\n"), { hint: "correct the definition" });
    this.problems = problems;
  }
}

/** `users.admin.keys[0]`; keys that are no names are quoted. */
export function showPath(path: readonly (string | number)[]): string {
  return path
    .map((key, index) => {
      if (typeof key === "number") return `[${key}]`;
      const shown = key.length > 80 ? `${key.slice(0, 77)}…` : key;
      if (!/^[A-Za-z_$][\w$-]*$/.test(shown)) return `[${JSON.stringify(shown)}]`;
      return index === 0 ? shown : `.${shown}`;
    })
    .join("");
}

/** Of a name that leads nowhere: which one was probably meant, else those that there are. */
export function notAmong(name: string, known: readonly string[], what: string): string {
  if (known.length === 0) return `\`${name}\` needs an entry of that name in ${what}, which has none`;
  const meant = nearest(name, known);
  const instead =
    meant === undefined
      ? `accepted are ${known.slice(0, mostNames).join(", ")}`
      : `did you mean \`${meant}\``;
  return `\`${name}\` is not in ${what}; ${instead}`;
}

/** The one of `names` that was probably meant by `name`. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  if (name.length > longestMeant) return undefined;
  const ranked = names
    .map((one) => ({ one, far: editDistance(name.toLowerCase(), one.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(1, Math.floor(name.length / 3)) ? best.one : undefined;
}

/** How many letters are to be put in, left out, changed or swapped; more than `limit` where it is more. */
export function editDistance(a: string, b: string, limit = Infinity): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_none, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(
          row[j]! + 1,
          next[j - 1]! + 1,
          row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
          swapped ? before[j - 2]! + 1 : limit + 1,
        ),
      );
    }
    if (Math.min(...next) > limit) return limit + 1;
    before = row;
    row = next;
  }
  return row[b.length]!;
}
