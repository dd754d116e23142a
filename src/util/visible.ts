/**
 * What a terminal acts on or hides: control characters (C0, DEL, C1: escape sequences begin with them), format characters
 * (right-to-left overrides, zero width, tags), separators of lines and paragraphs, halves of surrogate pairs.
 */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Characters of one line, and lines of one message; what is more is left out, with its number. */
const mostOfLine = 4_000;
const mostLines = 400;
const mostOfText = 200_000;

/** One line in which nothing is hidden and nothing moves the cursor; line ends in it are shown as `\n`. */
export function visibleLine(text: string, most: number = mostOfLine): string {
  return shortened(text, most).replace(hidden, escaped);
}

/** The same for text of several lines: its line ends stay, tabs are spaces. */
export function visibleText(text: string): string {
  const bounded =
    text.length <= mostOfText
      ? text
      : `${whole(text.slice(0, mostOfText / 2))}\n… ${text.length - mostOfText} characters are left out …\n${whole(text.slice(-mostOfText / 2))}`;
  const lines = bounded.replaceAll("\r\n", "\n").replaceAll("\t", "  ").split("\n");
  const most = mostLines / 2;
  const kept =
    lines.length <= mostLines
      ? lines
      : [
          ...lines.slice(0, most),
          `… ${lines.length - mostLines} lines are left out …`,
          ...lines.slice(-most),
        ];
  return kept.map((line) => visibleLine(line)).join("\n");
}

/** Several lines, of which all but the first stand under it: no line of a foreign text begins where ours do. */
export function visibleUnder(text: string, indent: string): string {
  return visibleText(text).replaceAll("\n", `\n${indent}`);
}

/** JSON that is harmless on a terminal too: such characters occur in its strings only, where an escape is the same. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(hidden, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  const start = whole(text.slice(0, most));
  return `${start}… (${text.length - start.length} characters more)`;
}

/** Without half a surrogate pair at either end. */
function whole(text: string): string {
  return text.replace(/^[\udc00-\udfff]/, "").replace(/[\ud800-\udbff]$/, "");
}

function escaped(character: string): string {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!.toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`;
}
