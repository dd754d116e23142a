import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";

/** Writes zeros over a file's content, in place, and leaves it empty. For files in RAM: a disk may keep what was there. */
export function wipeFile(path: string): void {
  let file: number;
  try {
    file = openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    writeSync(file, Buffer.alloc(size), 0, size, 0);
    ftruncateSync(file, 0);
  } finally {
    closeSync(file);
  }
}
