import { generateX25519Identity, identityToRecipient } from "age-encryption";

/** A new age identity and the recipient to encrypt for, as lines of text. */
export async function newIdentity(): Promise<{ readonly identity: string; readonly recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The recipients of an identity file's keys; none for a file that is encrypted. */
export async function recipientsIn(identityFile: string): Promise<string[]> {
  const keys = identityFile.split("\n").filter((line) => line.startsWith("AGE-SECRET-KEY-"));
  return await Promise.all(keys.map((key) => identityToRecipient(key.trim())));
}
