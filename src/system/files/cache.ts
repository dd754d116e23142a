import { homedir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../util/log.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** What a command hands down of the world around it. */
export interface Surroundings {
  readonly env: Env;
  readonly cache: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The cache's root as the environment says; the caller in `cli/` passes `process.env`. */
export function cacheRoot(env: Env): string {
  if (env.IMGBUILD_CACHE) return env.IMGBUILD_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "imgbuild");
}
