import { join } from "node:path";

/** Where a user's age identity is looked for when no other is named; undefined for a process without a home. */
export function defaultIdentity(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const config = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, ".config") : undefined);
  return config === undefined ? undefined : join(config, "imgbuild/identity.txt");
}
