import { Fail } from "./fail.ts";

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
