import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";

/** A new age key pair. */
export async function generateIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** An age file that a passphrase opens, with less work than is usual. */
export async function sealLightly(passphrase: string, plain: Uint8Array | string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(10);
  return await encrypter.encrypt(plain);
}
