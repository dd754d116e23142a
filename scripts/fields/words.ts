import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The words that stand above the keys of one object in a source of the schema. */
interface Said {
  readonly keys: ReadonlySet<string>;
  readonly words: ReadonlyMap<string, string>;
}

/** Objects of all sources, with the doc comment of each key. */
export function saidIn(directory: string): Said[] {
  // What is below is of payloads and the base, not of definitions.
  const modules = readdirSync(directory).filter((name) => name.endsWith(".ts"));
  return modules.flatMap((name) => objectsOf(readFileSync(join(directory, name), "utf8")));
}

/** The words of a key of an object with these keys, by the source object that is most like it. */
export function wordsOf(said: readonly Said[], keys: readonly string[], key: string): string {
  const like = ({ keys: own }: Said) => keys.filter((one) => own.has(one)).length - own.size / 100;
  const fitting = said.filter(({ keys: own }) => own.has(key) && [...own].every((one) => keys.includes(one)));
  return fitting.sort((a, b) => like(b) - like(a))[0]?.words.get(key) ?? "";
}

function objectsOf(text: string): Said[] {
  const token =
    /\/\*\*([\s\S]*?)\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|\/(?![*/\s])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/|([A-Za-z_$][\w$]*)\s*:(?!:)|[{}()[\]]/g;
  const done: Said[] = [];
  const open: { bracket: string; keys: Set<string>; words: Map<string, string> }[] = [];
  let comment = "";
  for (const [whole, doc, key] of text.matchAll(token)) {
    const inner = open.at(-1);
    if (doc !== undefined)
      comment = doc
        .replace(/^\s*\*\s?/gm, "")
        .replace(/\s+/g, " ")
        .trim();
    else if (key !== undefined) {
      if (inner?.bracket === "{") {
        inner.keys.add(key);
        if (comment !== "") inner.words.set(key, comment);
      }
      comment = "";
    } else if ("{[(".includes(whole)) {
      open.push({ bracket: whole, keys: new Set(), words: new Map() });
      comment = "";
    } else if ("}])".includes(whole)) {
      const closed = open.pop();
      if (closed?.bracket === "{" && closed.keys.size > 0) done.push(closed);
    }
  }
  return done;
}
