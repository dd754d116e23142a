import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { newIdentity } from "../../secrets/identity.ts";
import { sealWithPassphrase } from "../../secrets/seal.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";

/** Where a user's age identity is looked for when no other is named; undefined for a process without a home. */
export function defaultIdentity(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const config = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, ".config") : undefined);
  return config === undefined ? undefined : join(config, "imgbuild/identity.txt");
}

/** Makes an age identity in a file of mode 0600, encrypted where a passphrase is given; answers its recipient ("age1…"). */
export async function makeIdentity(file: string, passphrase?: Secret): Promise<string> {
  const { identity, recipient } = await newIdentity();
  const text = Buffer.from(`# recipient: ${recipient}\n${identity}\n`);
  const bytes = passphrase === undefined ? text : await sealWithPassphrase(passphrase, text);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, bytes, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw new Fail(`the identity cannot be written: ${reasonOf(error)}`, { cause: error });
    throw new Fail(`${file} exists already, and what opens secrets is never overwritten`, {
      cause: error,
      hint: "name another file, or use the identity that is there",
    });
  }
  return recipient;
}
