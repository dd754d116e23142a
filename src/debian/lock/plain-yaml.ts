/** A scalar that needs no quotes and is a string: it begins with a letter and has nothing that YAML gives a meaning. */
const word = /^[A-Za-z_][A-Za-z0-9_+.~%:/()@-]*(?: [A-Za-z0-9_+.~%:/()@=<>-]+)*$/;
const colon = /:(?: |$)/;
const quoted = /^"([^"\\]*)"$/;
/** What begins with a digit is a string when no number could look like it. */
const digits = /^[0-9][A-Za-z0-9_+.~%:/@-]*$/;
const numberLike = /^[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]*)?$|^0[xo]/;
const integer = /^(?:0|[1-9][0-9]{0,14})$/;
const reserved = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

type Value = string | number | boolean | Value[] | { [key: string]: Value };

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** Something that this reader leaves to one that knows all of YAML. */
class Other extends Error {}

/**
 * Reads the small part of YAML in which locks are written: maps and lists by indentation, plain words, whole numbers, lists of words
 * on one line. Undefined for anything else. A reader of all of YAML takes longer for a lock than most of a build takes.
 */
export function parsePlainYaml(text: string): unknown {
  try {
    const lines = text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const indent = line.length - line.trimStart().length;
        return { indent, text: line.slice(indent) };
      });
    const reader = { lines, at: 0 };
    const value = readMap(reader, 0);
    return reader.at === lines.length ? value : undefined;
  } catch (error) {
    if (error instanceof Other) return undefined;
    throw error;
  }
}

interface Reader {
  readonly lines: Line[];
  at: number;
}

function readMap(reader: Reader, indent: number): Value {
  const found: Record<string, Value> = {};
  for (let line = reader.lines[reader.at]; line?.indent === indent; line = reader.lines[reader.at]) {
    const [, key, rest] = /^([A-Za-z][A-Za-z0-9-]*):(?: (.+))?$/.exec(line.text) ?? [];
    if (key === undefined || Object.hasOwn(found, key) || key === "__proto__" || reserved.test(key))
      throw new Other();
    reader.at += 1;
    found[key] = rest === undefined ? readBelow(reader, indent) : scalar(rest);
  }
  if (Object.keys(found).length === 0) throw new Other();
  return found;
}

function readBelow(reader: Reader, above: number): Value {
  const line = reader.lines[reader.at];
  if (line === undefined || line.indent !== above + 2) throw new Other();
  return line.text.startsWith("- ") ? readList(reader, line.indent) : readMap(reader, line.indent);
}

function readList(reader: Reader, indent: number): Value {
  const found: Value[] = [];
  for (let line = reader.lines[reader.at]; line?.indent === indent; line = reader.lines[reader.at]) {
    if (!line.text.startsWith("- ")) throw new Other();
    const rest = line.text.slice(2);
    if (/^[A-Za-z][A-Za-z0-9-]*:(?: |$)/.test(rest)) {
      // The map begins on the line of its dash, two further in.
      reader.lines[reader.at] = { indent: indent + 2, text: rest };
      found.push(readMap(reader, indent + 2));
    } else {
      found.push(scalar(rest));
      reader.at += 1;
    }
  }
  return found;
}

function scalar(text: string): Value {
  if (text === "true" || text === "false") return text === "true";
  const flow = /^\[(.*)\]$/.exec(text);
  if (flow !== null) return flow[1]!.split(", ").map((each) => plain(each));
  return plain(text);
}

function plain(text: string): Value {
  const inQuotes = quoted.exec(text);
  if (inQuotes !== null) return inQuotes[1]!;
  if (integer.test(text)) return Number(text);
  if (word.test(text) && !reserved.test(text) && !colon.test(text)) return text;
  if (digits.test(text) && !numberLike.test(text) && !colon.test(text)) return text;
  throw new Other();
}
