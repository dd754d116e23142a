import { basename, dirname } from "node:path";
import { type Change, Untold } from "./tree-delta.ts";

/** Lines longer than that are cut by debugfs (BUFSIZ). */
const maxLine = 4096;

/** Commands for debugfs(8) that make the changes, and set all times of what they touch. */
export function debugfsScript(changes: readonly Change[], epoch: number): string {
  return changes.map((change) => `${commands(change, epoch).join("\n")}\n`).join("");
}

/** Whether debugfs understands the words of all changes; who asks may make the whole anew then. */
export function isTold(changes: readonly Change[]): boolean {
  try {
    debugfsScript(changes, 1);
    return true;
  } catch (error) {
    if (error instanceof Untold) return false;
    throw error;
  }
}

function commands(change: Change, epoch: number): string[] {
  const { path } = change;
  // Names are entered in the present directory only.
  const here = [`cd ${word(dirname(path))}`];
  const name = word(basename(path));
  switch (change.do) {
    case "unlink":
      return [...here, `rm ${name}`];
    case "rmdir":
      return [...here, `rmdir ${name}`];
    case "mkdir":
      return [...here, `mkdir ${name}`, ...attributes(change, 0o040000, epoch)];
    case "symlink":
      return [...here, `symlink ${name} ${word(change.link)}`, ...attributes(change, 0o120000, epoch)];
    case "write":
      return [...here, `write ${word(change.from)} ${name}`, ...attributes(change, 0o100000, epoch)];
    case "set":
      return attributes(change, undefined, epoch);
  }
}

function attributes(
  change: Exclude<Change, { do: "unlink" | "rmdir" }>,
  type: number | undefined,
  epoch: number,
): string[] {
  const path = word(change.path);
  const kind = type ?? (change.do === "set" ? change.type : 0);
  const times = { atime: epoch, mtime: change.mtime, ctime: epoch, crtime: epoch };
  return [
    `set_inode_field ${path} mode 0${(kind | change.mode).toString(8)}`,
    `set_inode_field ${path} uid ${change.uid}`,
    `set_inode_field ${path} gid ${change.gid}`,
    ...Object.entries(times).map(([field, time]) => `set_inode_field ${path} ${field} @${time}`),
    ...Object.keys(times).map((field) => `set_inode_field ${path} ${field}_extra 0`),
  ];
}

/** One word of debugfs' language: quoted, with quotes doubled. What looks like an inode number is one to it. */
export function word(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\x00-\x1f]/.test(text) || text.length > maxLine || /(^|\/)</.test(text))
    throw new Untold(`debugfs has no words for ${JSON.stringify(text)}`);
  return `"${text.replaceAll('"', '""')}"`;
}
