import { randomBytes } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";

/**
 * Writes a file whole or not at all: beside its place, under a name that is unique and that clearing a cache knows as unfinished,
 * then renamed. Its directory has to exist; `mode` is that of the new file, not of the old.
 */
export async function writeWhole(file: string, content: string | Uint8Array, mode?: number): Promise<void> {
  const beside = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(beside, content, { flag: "wx", ...(mode === undefined ? {} : { mode }) });
    await rename(beside, file);
  } catch (error) {
    // Why it cannot be removed says less than why it was not written.
    await rm(beside, { force: true }).catch(() => {});
    throw error;
  }
}
