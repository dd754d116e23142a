import { homedir } from "node:os";
import { join } from "node:path";

/** The cache's root as the environment says; the caller in `cli/` passes `process.env`. */
export function cacheRoot(env: Readonly<Record<string, string | undefined>>): string {
  if (env.IMGBUILD_CACHE) return env.IMGBUILD_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "imgbuild");
}
