import { readFile } from "node:fs/promises";
import { Fail, reasonOf } from "../../util/fail.ts";

export async function readIdentityFile(path: string): Promise<string> {
  return await readFile(path, "latin1").catch((error: unknown) => {
    throw new Fail(`the identity file ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
}

/** Whether a passphrase opens it. */
export function isLockedIdentity(text: string): boolean {
  return /^\s*(age-encryption\.org\/|-----BEGIN AGE)/.test(text);
}

/** The keys of several files, each once; empty where there are none. */
export function identityLinesOf(texts: readonly string[]): string {
  const lines = texts.flatMap((text) => text.split("\n").map((line) => line.trim()));
  return [...new Set(lines.filter((line) => line.startsWith("AGE-SECRET-KEY-")))]
    .map((line) => `${line}\n`)
    .join("");
}
