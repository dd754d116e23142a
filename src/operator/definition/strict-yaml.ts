import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

/** What a YAML file holds; lines count from 1. */
interface YamlFile {
  readonly data: unknown;
  /** The line that says the value at `path`, or the nearest line around it. */
  lineOf(path: readonly (string | number)[]): number;
}

interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** Reads YAML 1.2. What other readers only warn of, as a key that is there twice or a tag without a meaning, is a problem. */
export function parseStrictYaml(text: string): YamlFile | { readonly problem: YamlProblem } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, merge: true, prettyErrors: false });
  const lineAt = (offset: number) => lineCounter.linePos(offset).line || 1;
  const wrong = document.errors[0] ?? document.warnings[0];
  if (wrong !== undefined) return { problem: { line: lineAt(wrong.pos[0]), message: wrong.message } };
  let data: unknown;
  try {
    data = document.toJS();
    // What contains itself by an alias is no data.
    JSON.stringify(data);
  } catch (error) {
    return { problem: { line: 1, message: (error as Error).message.split("\n")[0]! } };
  }
  const lineOf = (path: readonly (string | number)[]) => {
    let node: unknown = document.contents;
    let line = 1;
    for (const key of path) {
      if (isAlias(node)) node = node.resolve(document);
      const pair = isMap(node)
        ? node.items.find((one) => isScalar(one.key) && String(one.key.value) === String(key))
        : undefined;
      const named: unknown = pair === undefined && isSeq(node) ? node.items[Number(key)] : pair?.key;
      const offset = (named as { range?: readonly number[] } | undefined)?.range?.[0];
      if (offset === undefined) break;
      line = lineAt(offset);
      node = pair === undefined ? named : pair.value;
    }
    return line;
  };
  return { data, lineOf };
}
