import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { Fail } from "../util/fail.ts";
import { O_PATH, openDirectory, pathOf } from "./walk.ts";

/** Anything at a path of the tree that may not be a link. */
export function isLink(path: string, asked = path): Fail {
  const where = asked === path ? "" : `${asked}: `;
  return new Fail(`${where}${path} is a symbolic link in the tree`, {
    hint: "name the path where it really is",
  });
}

/** Opens what is held already, after a check: a pipe would block, and a device belongs to the machine. */
export function opened<T>(at: string, path: string, flags: number, work: (fd: number) => T): T {
  const held = openSync(at, O_PATH | constants.O_NOFOLLOW);
  try {
    const found = fstatSync(held);
    if (found.isSymbolicLink()) throw isLink(path);
    if (!found.isFile()) throw new Fail(`${path} is no regular file in the tree`);
    const fd = openSync(pathOf(held), flags);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(held);
  }
}

export function inDirectory<T>(at: string | Buffer, work: (directory: string) => T): T {
  const fd = openDirectory(at);
  try {
    return work(pathOf(fd));
  } finally {
    closeSync(fd);
  }
}

/** Names may be any bytes. */
export function removeAll(at: Buffer): void {
  const found = lstatSync(at, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) {
    unlinkSync(at);
    return;
  }
  removeContent(at, []);
  rmdirSync(at);
}

export function removeContent(at: Buffer, keep: readonly string[]): void {
  inDirectory(at, (directory) => {
    for (const name of readdirSync(Buffer.from(directory), { encoding: "buffer" }))
      if (!keep.includes(name.toString())) removeAll(Buffer.concat([Buffer.from(`${directory}/`), name]));
  });
}
