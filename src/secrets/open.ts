import { readFile } from "node:fs/promises";
import { armor, Decrypter, type Identity } from "age-encryption";
import { Fail, messageOf, reasonOf } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";
import { passphraseIdentity } from "./passphrase.ts";

/** How secret files are opened. */
export interface Openers {
  /** Texts of identity files, AGE-SECRET-KEY lines and comments; and keys of other kinds. */
  readonly identities: readonly (string | Identity)[];
  /** Asked for only when a file is encrypted with a passphrase. */
  readonly passphrase?: (() => Promise<Secret>) | undefined;
}

/** Decrypts an age file, binary or armored, in memory. */
export async function openSecretFile(
  path: string,
  options: Openers & { readonly name: string },
): Promise<Secret> {
  return await openBytes(await readAgeFile(path), path, options);
}

/** The same of an age file's bytes; `path` is what messages call it. */
export async function openBytes(
  bytes: Uint8Array,
  path: string,
  options: Openers & { readonly name: string },
): Promise<Secret> {
  const sealed = withoutArmor(bytes, path);
  const decrypter = new Decrypter();
  if (isPassphraseFile(sealed)) {
    if (options.passphrase === undefined)
      throw new Fail(`${path} is encrypted with a passphrase`, {
        hint: "add --passphrase to be asked for it",
      });
    decrypter.addIdentity(passphraseIdentity((await options.passphrase()).expose()));
    return new Secret(
      options.name,
      await decrypt(decrypter, sealed, path, "the passphrase does not open", "--passphrase"),
    );
  }
  const keys = options.identities.flatMap((identity): readonly (string | Identity)[] =>
    typeof identity === "string" ? identityLines(identity) : [identity],
  );
  if (keys.length === 0)
    throw new Fail(`no identity was given to open ${path}`, {
      hint: "name your age identity file by --identity FILE or in IMGBUILD_IDENTITY",
    });
  for (const key of keys) addIdentity(decrypter, key);
  return new Secret(
    options.name,
    await decrypt(decrypter, sealed, path, "no given identity opens", "--identity"),
  );
}

/** An age file's bytes without armor; refuses other files. */
export async function readAgeFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Fail(missing ? `no secret file ${path}` : `${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint: `make it with \`imgbuild secrets edit ${path}\``,
    });
  }
  return withoutArmor(bytes, path);
}

/** An age file's bytes, of a file that is armored or not; `path` is what messages call it. */
function withoutArmor(bytes: Uint8Array, path: string): Uint8Array {
  const start = Buffer.from(bytes.subarray(0, 64)).toString("latin1");
  if (start.startsWith(magic)) return bytes;
  const notAge = (cause?: unknown) =>
    new Fail(`${path} is not an age file`, {
      cause,
      hint: `its content may be plain text: remove it and write it again with \`imgbuild secrets edit ${path}\``,
    });
  if (!start.trimStart().startsWith("-----BEGIN AGE")) throw notAge();
  try {
    return armor.decode(Buffer.from(bytes).toString("latin1"));
  } catch (error) {
    throw notAge(error);
  }
}

/** True for a file that a passphrase opens; age allows no other recipient with it. */
export function isPassphraseFile(sealed: Uint8Array): boolean {
  return Buffer.from(sealed.subarray(0, 256)).toString("latin1").startsWith(`${magic}\n-> scrypt `);
}

const magic = "age-encryption.org/v1";

function identityLines(text: string): string[] {
  const keys = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length === 0 || !keys.every((key) => key.startsWith("AGE-SECRET-KEY-")))
    throw new Fail("an identity file has other lines than AGE-SECRET-KEY lines", {
      hint: "make one with `imgbuild secrets keygen`; an OpenSSH key has to be an ed25519 key",
    });
  return keys;
}

function addIdentity(decrypter: Decrypter, key: string | Identity): void {
  try {
    decrypter.addIdentity(key);
  } catch {
    // The cause would show the key.
    throw new Fail("an identity file has a damaged AGE-SECRET-KEY line", {
      hint: "check the file given by --identity",
    });
  }
}

async function decrypt(
  decrypter: Decrypter,
  sealed: Uint8Array,
  path: string,
  refused: string,
  option: string,
): Promise<Uint8Array> {
  try {
    return await decrypter.decrypt(sealed);
  } catch (error) {
    if (/no identity matched/.test(messageOf(error)))
      throw new Fail(`${refused} ${path}`, {
        cause: error,
        hint: `give another by ${option}, or ask someone who can open it to run \`imgbuild secrets rekey\``,
      });
    throw new Fail(`${path} is damaged: ${messageOf(error)}`, {
      cause: error,
      hint: "restore it from version control",
    });
  }
}
