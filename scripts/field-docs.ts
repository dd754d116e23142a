/**
 * TypeScript writes declarations of inferred types without the comments of their fields. These put them back: an object of the
 * sources is a type of the declarations, or a part of it, if its fields are there in the same order. Both are formatted, so
 * their indentation shows what belongs together.
 */

interface Field {
  readonly name: string;
  /** Number of its line. */
  readonly line: number;
  /** Lines of its comment, without indentation. */
  readonly comment: readonly string[];
}

/** The fields of each object or type of a text, in groups. */
function groupsOf(lines: readonly string[]): Field[][] {
  const done: Field[][] = [];
  const open = new Map<number, Field[]>();
  let comment: string[] = [];
  for (const [at, line] of lines.entries()) {
    const text = line.trim();
    if (text === "") continue;
    const indent = line.length - line.trimStart().length;
    for (const [depth, fields] of open)
      if (depth > indent) {
        done.push(fields);
        open.delete(depth);
      }
    if (text.startsWith("/**") || (comment.length > 0 && text.startsWith("*"))) {
      comment.push(text);
      continue;
    }
    const name = /^(?:readonly )?([A-Za-z]\w*)(?:\??:|,$)/.exec(text)?.[1];
    if (name !== undefined) {
      const fields = open.get(indent) ?? [];
      open.set(indent, [...fields, { name, line: at, comment }]);
    }
    comment = [];
  }
  return [...done, ...open.values()];
}

const namesOf = (fields: readonly Field[]) => ` ${fields.map(({ name }) => name).join(" ")} `;

/** Objects of the sources with comments, the largest first. */
export function fieldComments(sources: readonly string[]): readonly (readonly Field[])[] {
  return sources
    .flatMap((text) => groupsOf(text.split("\n")))
    .filter((fields) => fields.some(({ comment }) => comment.length > 0))
    .sort((left, right) => right.length - left.length);
}

/** The declarations with the comments of their fields. */
export function withComments(text: string, known: readonly (readonly Field[])[]): string {
  const lines = text.split("\n");
  const before = new Map<number, readonly string[]>();
  for (const fields of groupsOf(lines)) {
    const names = namesOf(fields);
    for (const source of known) {
      const at = names.indexOf(namesOf(source));
      if (at === -1) continue;
      const first = names.slice(0, at).split(" ").length - 1;
      for (const [index, { comment }] of source.entries()) {
        const field = fields[first + index]!;
        if (field.comment.length === 0 && comment.length > 0 && !before.has(field.line))
          before.set(field.line, comment);
      }
    }
  }
  return lines
    .flatMap((line, at) => {
      const indent = line.slice(0, line.length - line.trimStart().length);
      const said = before.get(at) ?? [];
      return [...said.map((one) => `${indent}${one.startsWith("*") ? " " : ""}${one}`), line];
    })
    .join("\n");
}
