import { notAmong } from "./problem.ts";
import { shellWord } from "./shell-word.ts";

type Value = string | number | boolean;

/** How a value is written where it would mean something else as it is. */
const filters: Readonly<Record<string, (value: Value) => string>> = {
  json: (value) => JSON.stringify(value),
  /** One word of a POSIX shell. */
  shell: (value) => shellWord(String(value)),
  /** Line ends and tabs too, which a reader takes for blanks in an attribute. */
  xml: (value) => String(value).replace(/[&<>"'\t\n\r]/g, (odd) => `&#${odd.charCodeAt(0)};`),
};

/** Outside of the Char of XML 1.0. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInXml = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/u;

interface Rendered {
  readonly text: string;
  /** What is wrong with the text, then the values that it does not use. */
  readonly problems: readonly string[];
  readonly unused: readonly string[];
}

/**
 * A text with its values in their places: `{{name}}` as it is, `{{name | shell}}` by a filter, `{{"text"}}` is the text itself, for
 * what would be taken for a place. Nothing is guessed: whatever else begins with two braces is a problem.
 */
export function render(text: string, values: Readonly<Record<string, Value>>): Rendered {
  const problems: string[] = [];
  const used = new Set<string>();
  const place = /\{\{(?:\s*"([^"\n]*)"\s*|\s*([A-Za-z][A-Za-z0-9_]*)\s*(?:\|\s*([A-Za-z]+)\s*)?)\}\}|\{\{/g;
  const made = text.replace(
    place,
    (whole: string, literal?: string, name?: string, filter?: string, ...rest) => {
      const offset = rest.find((one): one is number => typeof one === "number")!;
      const line = text.slice(0, offset).split("\n").length;
      if (literal !== undefined) return literal;
      if (name === undefined) {
        problems.push(
          `line ${line}: {{ begins no place for a value; write {{"{{"}} for the braces themselves`,
        );
        return whole;
      }
      if (!Object.hasOwn(values, name)) {
        problems.push(`line ${line}: ${notAmong(name, Object.keys(values), "values")}`);
        return whole;
      }
      used.add(name);
      if (filter === undefined) return String(values[name]);
      const by = Object.hasOwn(filters, filter) ? filters[filter] : undefined;
      if (by === undefined) {
        problems.push(`line ${line}: ${notAmong(filter, Object.keys(filters), "its filters")}`);
        return whole;
      }
      const value = values[name]!;
      if (filter === "xml" && notInXml.test(String(value))) {
        problems.push(
          `line ${line}: ${name} holds characters that XML cannot say; use another filter, or leave them out`,
        );
        return whole;
      }
      return by(value);
    },
  );
  return { text: made, problems, unused: Object.keys(values).filter((name) => !used.has(name)) };
}
