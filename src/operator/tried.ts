import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Notes in the cache that a definition, as it is now, was made whole once: a script that fails, a unit or an owner that is not there
 * would have ended that. On a host it ends the build behind the first write.
 */
export async function noteTried(cache: string, definition: string): Promise<void> {
  try {
    await mkdir(join(cache, "tried"), { recursive: true });
    await writeFile(join(cache, "tried", definition), "");
  } catch {
    // What was made is whole without the note.
  }
}

export async function wasTried(cache: string, definition: string): Promise<boolean> {
  return await stat(join(cache, "tried", definition)).then(
    () => true,
    () => false,
  );
}
