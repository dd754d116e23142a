import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Env } from "../../system/files/cache.ts";
import { stateDirectory } from "./known-deploys.ts";

/**
 * Notes that a definition, as it is now, was made whole once: a script that fails, a unit or an owner that is not there would have
 * ended that. On a host it ends the build after the first write.
 */
export async function noteTried(env: Env, definition: string): Promise<void> {
  const directory = join(stateDirectory(env), "tried");
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(join(directory, definition), "");
  } catch {
    // What was made is whole without the note.
  }
}

export async function wasTried(env: Env, definition: string): Promise<boolean> {
  return await stat(join(stateDirectory(env), "tried", definition)).then(
    () => true,
    () => false,
  );
}
