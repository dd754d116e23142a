import { readFileSync, writeFileSync } from "node:fs";
import { generateIdentity, recipientOf } from "../secrets/seal.ts";

/**
 * The age key pair of this boot. It lies in RAM, for root alone: a runner that died and was started anew can open what was sealed for
 * the one before it, and so go on with a machine that has no system any more.
 */
export async function identityOfBoot(file: string): Promise<{ identity: string; recipient: string }> {
  const there = readIfThere(file);
  if (there !== undefined) return { identity: there, recipient: await recipientOf(there) };
  const made = await generateIdentity();
  writeFileSync(file, made.identity, { mode: 0o600, flag: "wx" });
  return made;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
