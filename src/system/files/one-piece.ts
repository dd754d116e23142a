import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { hold } from "./file-lock.ts";

/**
 * Makes a directory of the cache in one piece, where it is not there yet: beside its place, then renamed. Until this process ends,
 * it is held.
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

/** Two runs at once make the same thing: what came first stays, and what was made later is left where it lies. */
export async function putInPlace(made: string, place: string): Promise<void> {
  await rename(made, place).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
  await hold(place);
}

/** Takes what nobody uses out of its place, in one piece too; gives the name under which it waits to be deleted. */
export function putAside(path: string): string {
  const name = `${path}.gone-${randomBytes(6).toString("hex")}`;
  renameSync(path, name);
  return name;
}
