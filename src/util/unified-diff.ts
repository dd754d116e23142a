/** A diff that cannot be read, or that does not fit; the message says where. */
export class DiffProblem extends Error {}

interface Hunk {
  /** "@@ -1,3 +1,4 @@". */
  readonly header: string;
  /** Lines before it in the old file. */
  readonly before: number;
  /** Lines with their ends. */
  readonly old: readonly string[];
  readonly made: readonly string[];
}

/** What a diff does to one file. */
export interface FileDiff {
  /** Absolute. */
  readonly path: string;
  readonly hunks: readonly Hunk[];
}

/** What a unified diff can say and we do not do: there are other means for it. */
const refused: readonly (readonly [RegExp, string])[] = [
  [/^(rename|copy) (from|to) /, "it renames or copies a file"],
  [/^(old|new) mode /, "it changes a file's mode"],
  [/^new file mode |^--- \/dev\/null/, "it makes a file; `files` does that"],
  [/^deleted file mode |^\+\+\+ \/dev\/null/, "it deletes a file"],
  [/^GIT binary patch|^Binary files /, "it changes a file that is no text"],
];

/** Reads a unified diff; lines outside of its hunks (of git, or a mail) are passed over. */
export function parseDiff(text: string): FileDiff[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const files: FileDiff[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const odd = refused.find(([words]) => words.test(line));
    if (odd !== undefined) throw new DiffProblem(`line ${at + 1}: ${odd[1]}`);
    if (/^@@ /.test(line)) throw new DiffProblem(`line ${at + 1}: a hunk of no file`);
    at += 1;
    if (!line.startsWith("--- ") || !lines[at]?.startsWith("+++ ")) continue;
    const name = lines[at]!;
    if (name.startsWith("+++ /dev/null")) continue;
    const path = pathIn(name, at + 1);
    if (files.some((one) => one.path === path)) throw new DiffProblem(`line ${at + 1}: ${path} comes twice`);
    const hunks: Hunk[] = [];
    at += 1;
    while (at < lines.length && lines[at]!.startsWith("@@ ")) {
      const read = hunkAt(lines, at);
      const last = hunks.at(-1);
      if (last !== undefined && read.hunk.before < last.before + last.old.length)
        throw new DiffProblem(
          `line ${at + 1}: the hunk ${read.hunk.header} begins before the end of the last one`,
        );
      hunks.push(read.hunk);
      at = read.next;
    }
    if (hunks.length === 0) throw new DiffProblem(`line ${at + 1}: ${path} has no hunks`);
    files.push({ path, hunks });
  }
  if (files.length === 0)
    throw new DiffProblem("it is no unified diff: nothing in it begins with --- and +++");
  return files;
}

/** The new content; every line of the old one that a hunk names must be there, at its place. */
export function applyDiff(content: Buffer, { path, hunks }: FileDiff): Buffer {
  const lines = linesOf(content.toString("latin1"));
  const made: string[] = [];
  let at = 0;
  for (const [index, { header, before, old, made: wanted }] of hunks.entries()) {
    const where = `${path}, hunk ${index + 1} (${header})`;
    made.push(...lines.slice(at, before));
    for (const [offset, line] of old.entries()) {
      const found = lines[before + offset];
      if (found === line) continue;
      const number = before + offset + 1;
      const is =
        found === undefined ? `the file ends before line ${number}` : `line ${number} is ${show(found)}`;
      throw new DiffProblem(`${where}: ${is}, the patch expects ${show(line)}`);
    }
    if (before > lines.length) throw new DiffProblem(`${where}: the file has ${lines.length} lines only`);
    made.push(...wanted);
    at = before + old.length;
  }
  return Buffer.from([...made, ...lines.slice(at)].join(""), "latin1");
}

function pathIn(header: string, line: number): string {
  const name = header.slice("+++ ".length).replace(/\t.*$/, "").trimEnd();
  const path = name.startsWith("/") ? name : `/${name.split("/").slice(1).join("/")}`;
  const parts = path.split("/").slice(1);
  if (name.startsWith('"') || parts.some((part) => part === "" || part === "." || part === ".."))
    throw new DiffProblem(`line ${line}: ${name} is no path of the form b/etc/file`);
  return path;
}

function hunkAt(lines: readonly string[], start: number): { hunk: Hunk; next: number } {
  const header = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(lines[start]!);
  if (header === null) throw new DiffProblem(`line ${start + 1}: ${lines[start]} is no hunk's header`);
  const [first, oldCount, madeCount] = [header[1]!, header[2] ?? "1", header[4] ?? "1"].map(Number) as [
    number,
    number,
    number,
  ];
  const old: string[] = [];
  const made: string[] = [];
  let at = start + 1;
  while (old.length < oldCount || made.length < madeCount) {
    const line = lines[at];
    // Editors cut the blank off a line of context that is otherwise empty.
    const kind = line === "" ? " " : line?.[0];
    if (line === undefined || kind === undefined || !" -+".includes(kind))
      throw new DiffProblem(`line ${at + 1}: the hunk ${header[0]} ends too early`);
    // Compared with a file's bytes, of whatever encoding it is.
    const text = Buffer.from(line.slice(1), "utf8").toString("latin1");
    const ends = lines[at + 1]?.startsWith("\\ ") === true ? "" : "\n";
    if (kind !== "+") old.push(text + ends);
    if (kind !== "-") made.push(text + ends);
    at += ends === "" ? 2 : 1;
  }
  if (old.length > oldCount || made.length > madeCount)
    throw new DiffProblem(`line ${start + 1}: the hunk ${header[0]} has not as many lines as it says`);
  // "-5,0" names the line after which lines are added.
  const before = oldCount === 0 ? first : first - 1;
  if (before < 0) throw new DiffProblem(`line ${start + 1}: lines are counted from 1`);
  return { hunk: { header: header[0], before, old, made }, next: at };
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function show(line: string): string {
  const text = Buffer.from(line, "latin1").toString("utf8").replace(/\n$/, "");
  const cut = text.length > 80 ? `${text.slice(0, 77)}…` : text;
  return `${JSON.stringify(cut)}${line.endsWith("\n") ? "" : " without an end of line"}`;
}
