import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { type Identity, type Recipient, Stanza } from "age-encryption";
import { Fail } from "../util/fail.ts";

/**
 * age with SSH's ed25519 keys, as the program age does it: the key's point is taken to the curve of X25519, and a tweak of the
 * public key keeps the two uses apart.
 */
const type = "ssh-ed25519";
const label = "age-encryption.org/v1/ssh-ed25519";
/** Of a file key that is encrypted: 16 bytes and the tag. */
const bodyBytes = 32;
const tagBytes = 16;
const cipher = "chacha20-poly1305";
/** The key is of one use, so the nonce may be zero. */
const nonce = new Uint8Array(12);

/** Encrypts for a public key as in authorized_keys: "ssh-ed25519 AAAA… comment". */
export function sshRecipient(line: string): Recipient {
  const blob = blobOf(line);
  const theirs = ed25519.utils.toMontgomery(blob.subarray(-32));
  return {
    wrapFileKey: (fileKey) => {
      const secret = randomBytes(32);
      const share = x25519.getPublicKey(secret);
      const key = wrapKey(x25519.getSharedSecret(secret, theirs), blob, share, theirs);
      const sealer = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
      const body = Buffer.concat([sealer.update(fileKey), sealer.final(), sealer.getAuthTag()]);
      return [new Stanza([type, tagOf(blob), unpadded(share)], body)];
    },
  };
}

/** Opens what was encrypted for the key pair of 32 secret bytes. */
export function sshIdentity(seed: Uint8Array): Identity {
  const blob = blobWith(ed25519.getPublicKey(seed));
  const secret = ed25519.utils.toMontgomerySecret(seed);
  const ours = x25519.getPublicKey(secret);
  return {
    unwrapFileKey: (stanzas) => {
      for (const { args, body } of stanzas) {
        if (args[0] !== type || args[1] !== tagOf(blob)) continue;
        const share = Buffer.from(args[2] ?? "", "base64");
        if (args.length !== 3 || share.length !== 32 || body.length !== bodyBytes)
          throw new Error("invalid ssh-ed25519 stanza");
        const key = wrapKey(x25519.getSharedSecret(secret, share), blob, share, ours);
        const opener = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
        opener.setAuthTag(body.subarray(-tagBytes));
        return Buffer.concat([opener.update(body.subarray(0, -tagBytes)), opener.final()]);
      }
      return null;
    },
  };
}

function wrapKey(shared: Uint8Array, blob: Uint8Array, share: Uint8Array, point: Uint8Array): Buffer {
  const tweak = derive(new Uint8Array(), blob);
  return derive(x25519.getSharedSecret(tweak, shared), Buffer.concat([share, point]));
}

function derive(key: Uint8Array, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", key, salt, label, 32));
}

/** By which a key finds its stanza. */
function tagOf(blob: Uint8Array): string {
  return unpadded(createHash("sha256").update(blob).digest().subarray(0, 4));
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

function blobOf(line: string): Buffer {
  const [name, encoded = ""] = line.split(/\s+/);
  const blob = Buffer.from(encoded, "base64");
  const wrong = (cause?: unknown) =>
    new Fail(`${line.slice(0, 100)} is no ssh-ed25519 public key`, {
      cause,
      hint: "copy the line of the .pub file",
    });
  const point = blob.subarray(-32);
  if (name !== type || !blob.equals(blobWith(point))) throw wrong();
  try {
    ed25519.utils.toMontgomery(point);
  } catch (error) {
    throw wrong(error);
  }
  return blob;
}

/** A public key as SSH sends it. */
function blobWith(point: Uint8Array): Buffer {
  const fields = [Buffer.from(type), point].flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return Buffer.concat(fields);
}
