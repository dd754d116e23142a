import { basename, dirname } from "node:path";
import { type Change, Untold } from "./tree-delta.ts";

/** Bytes of a line that debugfs reads whole (BUFSIZ of the C library, with the line's end and a NUL). */
const maxLine = 8192 - 2;

/**
 * Commands for debugfs(8) that make the changes, and set all times of what they touch. It must be run with its clock at `epoch` (see
 * `fixedTimeEnv`): what it makes has that time and belongs to root, so only what differs is set. In large directories each command is a
 * long search.
 */
export function debugfsScript(changes: readonly Change[], epoch: number): string {
  const lines: string[] = [];
  let at: string | undefined;
  for (const change of changes) {
    if (change.do !== "set") {
      // Names are entered in the present directory only.
      const directory = dirname(change.path);
      if (directory !== at) lines.push(`cd ${debugfsWord(directory)}`);
      at = directory;
    }
    lines.push(...commands(change, epoch));
  }
  const long = lines.find((line) => Buffer.byteLength(line) > maxLine);
  if (long !== undefined) throw new Untold(`debugfs has no line for ${JSON.stringify(long.slice(0, 200))} …`);
  return lines.map((line) => `${line}\n`).join("");
}

function commands(change: Change, epoch: number): string[] {
  const name = debugfsWord(basename(change.path));
  switch (change.do) {
    case "unlink":
      return [`rm ${name}`];
    case "rmdir":
      return [`rmdir ${name}`];
    case "mkdir":
      return [`mkdir ${name}`, ...attributeCommands(change, 0o040000, epoch)];
    case "symlink":
      return [`symlink ${name} ${debugfsWord(change.link)}`, ...attributeCommands(change, 0o120000, epoch)];
    case "write":
      return [`write ${debugfsWord(change.from)} ${name}`, ...attributeCommands(change, 0o100000, epoch)];
    case "set": {
      const { path, type, mode, uid, gid, mtime } = change;
      const time = `@${epoch}`;
      return fields(path, {
        ...{ mode: `0${(type | mode).toString(8)}`, uid, gid },
        ...{ atime: time, mtime: `@${mtime}`, ctime: time, crtime: time },
        ...{ atime_extra: 0, mtime_extra: 0, ctime_extra: 0, crtime_extra: 0 },
      });
    }
  }
}

/** What is still to be set of something that debugfs has made. */
function attributeCommands(
  { path, mode, uid, gid, mtime }: Exclude<Change, { do: "unlink" | "rmdir" }>,
  type: number,
  epoch: number,
): string[] {
  return fields(path, {
    mode: `0${(type | mode).toString(8)}`,
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(mtime === epoch ? {} : { mtime: `@${mtime}` }),
  });
}

function fields(path: string, values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(
    ([field, value]) => `set_inode_field ${debugfsWord(path)} ${field} ${value}`,
  );
}

/** One word of debugfs' language: quoted, with quotes doubled. What looks like an inode number is one to it. */
export function debugfsWord(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\x00-\x1f]/.test(text) || /(^|\/)</.test(text))
    throw new Untold(`debugfs has no words for ${JSON.stringify(text)}`);
  return `"${text.replaceAll('"', '""')}"`;
}
