import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { hold } from "./file-lock.ts";

/**
 * Makes a directory of the cache in one piece, if it does not exist yet: beside its place, then renamed. This process holds it until
 * it ends.
 */
export async function inOnePiece(directory: string, make: (into: string) => Promise<void>): Promise<void> {
  if (await hold(directory)) return;
  await mkdir(dirname(directory), { recursive: true });
  const into = await mkdtemp(`${directory}.new-`);
  try {
    // Nothing of a parent directory's group (mode g+s) may be handed down to a tree.
    await chmod(into, 0o700);
    await hold(into);
    await make(into);
    await putInPlace(into, directory);
  } finally {
    await rm(into, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Two runs at once make the same: the first result stays, and the later is left where it is. */
export async function putInPlace(from: string, place: string): Promise<void> {
  await rename(from, place).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
  await hold(place);
}

/** Moves what no process uses out of its place, in one piece too; returns the name under which it waits to be deleted. */
export function putAside(path: string): string {
  const name = `${path}.gone-${randomBytes(6).toString("hex")}`;
  renameSync(path, name);
  return name;
}
