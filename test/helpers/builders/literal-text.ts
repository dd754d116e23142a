export type Path = readonly (string | number)[];

/** A value as an expression of TypeScript, which may be none that JSON has: `undefined`, `new Date(0)`. */
export class Expression {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object whose keys may come twice, in the order in which they are written. */
export class Entries {
  readonly list: readonly (readonly [key: string, value: unknown])[];

  constructor(list: readonly (readonly [key: string, value: unknown])[]) {
    this.list = list;
  }
}

export interface LiteralText {
  readonly text: string;
  /** Lines (from 1) that the value at a path takes; of what is not there none. */
  span(path: Path): readonly [first: number, last: number] | undefined;
}

/** A value written as an expression, each entry on a line of its own, with the lines on which it stands. */
export function literalText(value: unknown, before: string, after: string): LiteralText {
  const spans = new Map<string, readonly [number, number]>();
  const lines = before.split("\n");
  const last = () => lines.length;
  const add = (text: string) => {
    const [first = "", ...more] = text.split("\n");
    lines[lines.length - 1] += first;
    lines.push(...more);
  };
  const write = (inner: unknown, path: Path) => {
    const first = last();
    if (inner instanceof Expression) add(inner.text);
    else if (Array.isArray(inner)) {
      add("[");
      for (const [index, item] of inner.entries()) {
        add(`\n${"  ".repeat(path.length + 1)}`);
        write(item, [...path, index]);
        add(",");
      }
      add(inner.length === 0 ? "]" : `\n${"  ".repeat(path.length)}]`);
    } else if (inner instanceof Entries || (typeof inner === "object" && inner !== null)) {
      const entries = inner instanceof Entries ? inner.list : Object.entries(inner);
      add("{");
      for (const [key, item] of entries) {
        add(`\n${"  ".repeat(path.length + 1)}${keyText(key)}: `);
        write(item, [...path, key]);
        add(",");
      }
      add(entries.length === 0 ? "}" : `\n${"  ".repeat(path.length)}}`);
    } else add(JSON.stringify(inner));
    spans.set(JSON.stringify(path), [first, last()]);
  };
  write(value, []);
  add(after);
  return { text: lines.join("\n"), span: (path) => spans.get(JSON.stringify(path)) };
}

function keyText(key: string): string {
  // Without brackets it would set the prototype.
  if (key === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
}
