import { generateX25519Identity, identityToRecipient } from "age-encryption";

/** A new age key pair. */
export async function generateIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}
