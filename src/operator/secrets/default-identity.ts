import { homedir } from "node:os";
import { join } from "node:path";

/** Where a user's age identity is looked for when no other is named. */
export function defaultIdentity(env: Readonly<Record<string, string | undefined>>): string {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(config, "imgbuild/identity.txt");
}
