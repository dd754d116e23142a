import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { Fail } from "../util/fail.ts";

/** An age key pair of one boot: the identity stays where it was made. */
export async function generateIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await recipientOf(identity) };
}

/** The public half ("age1…") of an identity. */
export async function recipientOf(identity: string): Promise<string> {
  return await identityToRecipient(identity);
}

/** Encrypts for one recipient ("age1…"). */
export async function sealFor(recipient: string, bytes: Uint8Array): Promise<Uint8Array> {
  return await sealForAll([recipient], bytes);
}

/** Encrypts so that each of the recipients can open it. */
export async function sealForAll(recipients: readonly string[], bytes: Uint8Array): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      throw new Fail(`${recipient.slice(0, 100)} is no age recipient; "age1…" is accepted`, { cause: error });
    }
  }
  return await encrypter.encrypt(bytes);
}

/** Opens what was sealed for an identity. */
export async function openWith(identity: string, sealed: Uint8Array): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(sealed);
  } catch (error) {
    throw new Fail("the sealed secrets were not made for this boot, or are damaged", {
      cause: error,
      hint: "deploy again",
    });
  }
}
