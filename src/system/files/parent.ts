import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { during, Fail } from "../../util/fail.ts";

/** Refuses an output whose directory does not exist or may not be written to; makes no directory. */
export async function requireParent(path: string): Promise<void> {
  const parent = dirname(resolve(path));
  const found = await stat(parent).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined)
    throw new Fail(`${path}: there is no directory ${parent}`, { hint: `mkdir -p ${parent}` });
  if (!found.isDirectory())
    throw new Fail(`${path}: ${parent} is not a directory`, { hint: "name another path" });
  await during(`writing ${path}`, () => access(parent, constants.W_OK | constants.X_OK));
}
