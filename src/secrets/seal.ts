import { webcrypto } from "node:crypto";
import { armor, Decrypter, Encrypter, identityToRecipient } from "age-encryption";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { sshRecipient } from "./ssh.ts";

/** What opens an age file: its text ("AGE-SECRET-KEY-1…"), or the X25519 key that the text stands for. */
export type Identity = string | webcrypto.CryptoKey;

/** Before the 32 bytes of an X25519 key in PKCS #8 (RFC 8410). */
const pkcs8Head = Buffer.from("302e020100300506032b656e04220420", "hex");

/** The age key pair of 32 secret bytes; nothing gets the bytes out of it again. */
export async function identityFromSeed(seed: Uint8Array): Promise<{ identity: Identity; recipient: string }> {
  const pkcs8 = Buffer.concat([pkcs8Head, seed]);
  const identity = await webcrypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
  pkcs8.fill(0);
  return { identity, recipient: await recipientOf(identity) };
}

/** The public half ("age1…") of an identity. */
async function recipientOf(identity: Identity): Promise<string> {
  return await identityToRecipient(identity);
}

/** Encrypts for one recipient ("age1…"). */
export async function sealFor(recipient: string, bytes: Uint8Array): Promise<Uint8Array> {
  return await sealForAll([recipient], bytes);
}

/** Encrypts so that each of the recipients can open it: "age1…" or the line of an SSH public key. */
export async function sealForAll(recipients: readonly string[], bytes: Uint8Array): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    if (recipient.startsWith("ssh-ed25519 ")) {
      encrypter.addRecipient(sshRecipient(recipient));
      continue;
    }
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      throw new Fail(
        `${recipient.slice(0, 100)} is no age recipient; "age1…" and "ssh-ed25519 …" are accepted`,
        {
          cause: error,
        },
      );
    }
  }
  return await encrypter.encrypt(bytes);
}

/** Encrypts so that a passphrase opens it. */
export async function sealWithPassphrase(passphrase: Secret, bytes: Uint8Array): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(Buffer.from(passphrase.expose()).toString("utf8"));
  return await encrypter.encrypt(bytes);
}

/** The same bytes as lines of text, as `age --armor` writes them. */
export function armored(sealed: Uint8Array): string {
  return armor.encode(sealed);
}

/** Opens what was sealed for an identity. */
export async function openWith(identity: Identity, sealed: Uint8Array): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(sealed);
  } catch (error) {
    throw new Fail("the sealed secrets were not made for this boot, or are damaged", {
      cause: error,
      hint: "deploy again, or send them again: imgbuild resume HOST --with DEF",
    });
  }
}
