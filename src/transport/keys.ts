import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import ssh2 from "ssh2";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";

const type = "ssh-ed25519";
/** Before the 32 bytes of an ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** An ed25519 key pair in OpenSSH's formats; `public` is "ssh-ed25519 AAAA…" without a comment. */
export function generateSshKey(comment: string): { private: string; public: string } {
  return sshKeyOf(randomBytes(32), comment);
}

/**
 * The key pair of 32 secret bytes. ssh2 makes pairs too, but drops the leading zeros that one public key in 256 has, which
 * makes the key useless. Format: PROTOCOL.key of OpenSSH, without encryption.
 */
export function sshKeyOf(seed: Buffer, comment: string): { private: string; public: string } {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
  const { x } = createPublicKey(key).export({ format: "jwk" });
  const half = Buffer.from(x!, "base64url");
  const publicBlob = Buffer.concat([field(type), field(half)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    ...[check, check, publicBlob, field(Buffer.concat([seed, half])), field(comment)],
  ]);
  const padding = Buffer.from(Array.from({ length: -secret.length & 7 }, (_, index) => index + 1));
  const blob = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[field("none"), field("none"), field(""), Buffer.from([0, 0, 0, 1]), field(publicBlob)],
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = blob.toString("base64").match(/.{1,70}/g)!;
  return {
    private: ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join(
      "\n",
    ),
    public: `${type} ${publicBlob.toString("base64")}`,
  };
}

/** A string of SSH: its length in four bytes, then its bytes. */
function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The public half of a private key file's text, or undefined when it is encrypted or no key. */
export function publicKeyOf(privateKey: string | Uint8Array, passphrase?: string): string | undefined {
  const parsed = ssh2.utils.parseKey(Buffer.from(privateKey), passphrase);
  if (parsed instanceof Error) return undefined;
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined) return undefined;
  return `${key.type} ${key.getPublicSSH().toString("base64")}`;
}

/** The 32 secret bytes of an ed25519 key file's text; `ask` is called where a passphrase encrypts it. */
export async function ed25519Seed(
  text: string,
  path: string,
  ask?: () => Promise<Secret>,
): Promise<Uint8Array> {
  let parsed = ssh2.utils.parseKey(text);
  if (parsed instanceof Error && /no passphrase given/.test(parsed.message)) {
    if (ask === undefined)
      throw new Fail(`${path} is encrypted with a passphrase`, {
        hint: "add --passphrase to be asked for it",
      });
    parsed = ssh2.utils.parseKey(text, Buffer.from((await ask()).expose()));
    if (parsed instanceof Error)
      throw new Fail(`the passphrase does not open ${path}`, { hint: "give another by --passphrase" });
  }
  if (parsed instanceof Error || parsed.type !== type)
    throw new Fail(
      `${path} is ${parsed instanceof Error ? "no private key that can be read" : `a key of type ${parsed.type}`}`,
      { hint: "an OpenSSH key of type ed25519 is accepted, or an age identity" },
    );
  const { d } = createPrivateKey(parsed.getPrivatePEM()).export({ format: "jwk" });
  return Buffer.from(d!, "base64url");
}

/** Options before a key ("command=…") would change what the base's shell does; such keys stay out. */
export function isPlainKey(line: string): boolean {
  return /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-|sk-)/.test(line);
}
