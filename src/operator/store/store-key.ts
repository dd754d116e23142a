import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Env } from "../../system/files/cache.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import { defaultIdentity } from "../secrets/default-identity.ts";

/** What comes before the 32 bytes of an Ed25519 key in its SPKI form (RFC 8410). */
const spkiHead = Buffer.from("302a300506032b6570032100", "hex");

export interface StoreKey {
  readonly file: string;
  /** "ed25519:…", as definitions name it. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Buffer;
}

/** The operator's key that signs indices of stores: beside the identity, or where IMGBUILD_STORE_KEY says; made where there is none. */
export async function storeKey(env: Env): Promise<StoreKey> {
  const file = keyFile(env);
  return (await readKey(file)) ?? (await makeKey(file));
}

/** The public key of the operator's, where there is one. */
export async function publicStoreKey(env: Env): Promise<string | undefined> {
  return (await readKey(keyFile(env)))?.publicKey;
}

/** Whether a key has signed these bytes. */
export function isSignedBy(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const raw = Buffer.from(publicKey.replace(/^ed25519:/, ""), "base64");
  if (!publicKey.startsWith("ed25519:") || raw.length !== 32) return false;
  const key = createPublicKey({ key: Buffer.concat([spkiHead, raw]), format: "der", type: "spki" });
  return verify(null, bytes, key, signature);
}

function keyFile(env: Env): string {
  const identity = defaultIdentity(env);
  const file = env.IMGBUILD_STORE_KEY || (identity && join(dirname(identity), "store-key.pem"));
  if (file) return file;
  throw new Fail("there is no home to keep the store's key in", { hint: "set IMGBUILD_STORE_KEY to a file" });
}

async function readKey(file: string): Promise<StoreKey | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new Fail(`the store's key cannot be read: ${reasonOf(error)}`, { cause: error });
  });
  if (text === undefined) return undefined;
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === "ed25519") return keyOf(file, key);
  } catch {
    // Its text, which the cause may quote, stays out of messages.
  }
  throw new Fail(`${file} is no Ed25519 private key in PEM`, {
    hint: "restore it, or move it away: a new key is made then, and definitions have to name it",
  });
}

async function makeKey(file: string): Promise<StoreKey> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, pem, { mode: 0o600, flag: "wx" });
  } catch (error) {
    // Another run was first: its key counts.
    const other = (error as NodeJS.ErrnoException).code === "EEXIST" ? await readKey(file) : undefined;
    if (other !== undefined) return other;
    throw new Fail(`the store's key cannot be written: ${reasonOf(error)}`, { cause: error });
  }
  return keyOf(file, privateKey);
}

function keyOf(file: string, key: KeyObject): StoreKey {
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  return {
    file,
    publicKey: `ed25519:${spki.subarray(spkiHead.length).toString("base64")}`,
    sign: (bytes) => sign(null, bytes, key),
  };
}
