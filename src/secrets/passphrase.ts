import { createDecipheriv, scryptSync } from "node:crypto";
import type { Identity, Stanza } from "age-encryption";

const label = "age-encryption.org/v1/scrypt";
const tagBytes = 16;
/** As age itself refuses more: a file could ask for hours. */
const mostLogN = 20;

/** Opens what a passphrase encrypts (age's scrypt recipient), by OpenSSL: JavaScript takes minutes for it on a slow machine. */
export function passphraseIdentity(passphrase: Uint8Array): Identity {
  return {
    unwrapFileKey(stanzas: Stanza[]): Uint8Array | null {
      for (const { args, body } of stanzas) {
        const [kind, salt = "", work = ""] = args;
        const logN = Number(work);
        if (kind !== "scrypt" || stanzas.length !== 1 || !/^[1-9][0-9]?$/.test(work) || logN > mostLogN)
          continue;
        const salted = Buffer.concat([Buffer.from(label), Buffer.from(salt, "base64")]);
        const N = 2 ** logN;
        const key = scryptSync(passphrase, salted, 32, { N, r: 8, p: 1, maxmem: 2 * 128 * N * 8 });
        const decipher = createDecipheriv("chacha20-poly1305", key, Buffer.alloc(12), {
          authTagLength: tagBytes,
        });
        decipher.setAuthTag(body.subarray(-tagBytes));
        try {
          return Buffer.concat([decipher.update(body.subarray(0, -tagBytes)), decipher.final()]);
        } catch {
          return null;
        }
      }
      return null;
    },
  };
}
