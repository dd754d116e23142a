import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Identity, identityFromSeed } from "../secrets/seal.ts";
import { Fail } from "../util/fail.ts";

const seedBytes = 32;

/**
 * The age key pair for which secrets are sealed to this runner. What it is made from comes by stdin, in base64, from the shell that
 * keeps the runner running, and is in no file: a runner that died and was started again opens what was sealed for the runner before it,
 * and the secrets of GO are of no use by themselves. Without it (a runner that was started by hand) it is made here.
 */
export async function identityOfRunner(descriptor = 0): Promise<{ identity: Identity; recipient: string }> {
  const seed = seedFrom(readFileSync(descriptor, "utf8"));
  try {
    return await identityFromSeed(seed);
  } finally {
    seed.fill(0);
  }
}

function seedFrom(text: string): Buffer {
  if (text.trim() === "") return randomBytes(seedBytes);
  const seed = Buffer.from(text, "base64");
  if (seed.length !== seedBytes)
    throw new Fail(`the runner got ${seed.length} bytes for its key; ${seedBytes} are accepted`);
  return seed;
}
