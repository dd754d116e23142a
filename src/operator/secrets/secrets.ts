import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Spec } from "../../schema/spec.ts";
import {
  isPassphraseFile,
  type Openers,
  openBytes,
  openSecretFile,
  readAgeFile,
} from "../../secrets/open.ts";
import { sealForAll } from "../../secrets/seal.ts";
import { sshIdentity } from "../../secrets/ssh.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { ed25519Seed } from "../../transport/keys.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import type { Definition } from "../definition/load.ts";
import { defaultIdentity } from "./default-identity.ts";

/** What opens the files: paths of identity files, and how the passphrase of something is asked for. */
export interface SecretKeys {
  readonly identityFiles: readonly string[];
  readonly passphrase?: ((of: string) => Promise<Secret>) | undefined;
}

/** How secrets are opened, as the command line says it. */
export interface RevealOptions {
  readonly identity?: readonly string[];
  readonly passphrase?: boolean;
}

/** Identity files of the option and of IMGBUILD_IDENTITY, which separates several by ":"; else the user's own, if there is one. */
export function identityFiles(
  { identity = [] }: RevealOptions,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const named = [...identity, ...(env.IMGBUILD_IDENTITY ?? "").split(":").filter((path) => path !== "")];
  if (named.length > 0) return named;
  const own = defaultIdentity(env);
  return own !== undefined && existsSync(own) ? [own] : [];
}

/** What opens them as the command line says it. A passphrase is asked for where somebody can answer, or where it was said. */
export function secretKeys(
  options: RevealOptions,
  outside: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly interactive: boolean;
    readonly askSecret: (question: string) => Promise<Secret>;
  },
): SecretKeys {
  const asks = options.passphrase === true || outside.interactive;
  return {
    identityFiles: identityFiles(options, outside.env),
    passphrase: asks ? (of) => outside.askSecret(`Passphrase of ${of}: `) : undefined,
  };
}

/** All secrets of a definition, or `only` some of them, in memory only: name → plain bytes. */
export async function revealSecrets(
  definition: Definition,
  keys: SecretKeys,
  only?: readonly string[],
): Promise<Map<string, Secret>> {
  const all = Object.entries(definition.spec.secrets);
  const entries = only === undefined ? all : all.filter(([name]) => only.includes(name));
  const secrets = new Map<string, Secret>();
  if (entries.length === 0) return secrets;
  const openers = await readOpeners(keys);
  for (const [name, { file }] of entries)
    secrets.set(name, await openSecretFile(resolve(definition.dir, file), { ...openers, name }));
  return secrets;
}

/** Name of the secret that signs what a definition's firmware starts. */
export function signingSecret({ boot }: Pick<Spec, "boot">): string | undefined {
  if (!boot?.firmware.includes("uefi") || typeof boot.secureBoot !== "object") return undefined;
  return boot.secureBoot.key;
}

/** One file's plain bytes; its path is the secret's name. */
export async function showSecret(path: string, keys: SecretKeys): Promise<Secret> {
  return await openSecretFile(path, { ...(await readOpeners(keys)), name: path });
}

/**
 * Writes an age file anew. `edit` gets the present plain bytes, or undefined where there is no file yet, and returns the
 * new ones. Recipients are those in the file `recipients` beside it. Returns false when nothing changed.
 */
export async function editSecret(
  path: string,
  keys: SecretKeys,
  edit: (present: (() => Promise<Secret>) | undefined) => Promise<Uint8Array>,
): Promise<boolean> {
  const recipients = await readRecipients(dirname(path));
  const exists = (await readdir(dirname(path))).includes(path.split("/").at(-1)!);
  let before: Secret | undefined;
  const present = async () => {
    before = await showSecret(path, keys);
    return before;
  };
  const after = await edit(exists ? present : undefined);
  if (before !== undefined && Buffer.compare(before.expose(), after) === 0) return false;
  await writeWhole(path, await sealForAll(recipients, after), 0o644);
  return true;
}

/** Encrypts every age file of a directory to its present recipients. All are opened before the first is written. */
export async function rekeySecrets(
  dir: string,
  keys: SecretKeys,
): Promise<{ rekeyed: string[]; kept: string[] }> {
  const recipients = await readRecipients(dir);
  const openers = await readOpeners(keys);
  const paths = (await readdir(dir)).filter((name) => name.endsWith(".age")).map((name) => join(dir, name));
  const opened: { path: string; secret: Secret }[] = [];
  const kept: string[] = [];
  for (const path of paths.sort()) {
    // A passphrase has no recipients: whoever knows it opens the file before and after.
    if (isPassphraseFile(await readAgeFile(path))) kept.push(path);
    else opened.push({ path, secret: await openSecretFile(path, { ...openers, name: path }) });
  }
  for (const { path, secret } of opened) {
    await writeWhole(path, await sealForAll(recipients, secret.expose()), 0o644);
    secret.wipe();
  }
  return { rekeyed: opened.map(({ path }) => path), kept };
}

/** Tries every secret of a definition; each with its problem, where it has one. */
export async function checkSecrets(
  definition: Definition,
  keys: SecretKeys,
): Promise<{ name: string; file: string; problem?: Fail }[]> {
  const openers = await readOpeners(keys);
  const results: { name: string; file: string; problem?: Fail }[] = [];
  for (const [name, { file }] of Object.entries(definition.spec.secrets)) {
    try {
      (await openSecretFile(resolve(definition.dir, file), { ...openers, name })).wipe();
      results.push({ name, file });
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      results.push({ name, file, problem: error });
    }
  }
  return results;
}

async function readOpeners({ identityFiles, passphrase }: SecretKeys): Promise<Openers> {
  const identities: Openers["identities"][number][] = [];
  for (const path of identityFiles) identities.push(await readIdentity(path, passphrase));
  if (passphrase === undefined) return { identities };
  let asked: Promise<Secret> | undefined;
  return {
    identities,
    passphrase: () => {
      asked ??= passphrase("the secrets");
      return asked;
    },
  };
}

/** Decrypts text of age that is in no file; `what` is what messages call it. */
export async function openText(text: string, what: string, keys: SecretKeys): Promise<Secret> {
  return await openBytes(Buffer.from(text), what, { ...(await readOpeners(keys)), name: what });
}

/** An identity file of age, plain or encrypted with a passphrase, or an ed25519 key of OpenSSH. */
async function readIdentity(
  path: string,
  passphrase: SecretKeys["passphrase"],
): Promise<Openers["identities"][number]> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Fail(`the identity file ${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint: "name an existing one by --identity, or make one with `imgbuild secrets keygen`",
    });
  });
  const text = bytes.toString("utf8");
  const ask = passphrase === undefined ? undefined : () => passphrase(path);
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY-----/m.test(text))
    return sshIdentity(await ed25519Seed(text, path, ask));
  if (!/^\s*(age-encryption\.org\/|-----BEGIN AGE)/.test(text)) return text;
  const opened = await openSecretFile(path, { name: path, identities: [], passphrase: ask });
  return Buffer.from(opened.expose()).toString("utf8");
}

/** For whom a definition's secrets are encrypted, as the directories of their files say; none where none says it. */
export async function recipientsOf({ dir, spec }: Pick<Definition, "dir" | "spec">): Promise<string[]> {
  const dirs = new Set(Object.values(spec.secrets).map(({ file }) => dirname(resolve(dir, file))));
  const named = [...dirs].filter((one) => existsSync(join(one, "recipients")));
  return [...new Set((await Promise.all(named.map(readRecipients))).flat())];
}

export async function readRecipients(dir: string): Promise<string[]> {
  const path = join(dir, "recipients");
  const hint = `put one recipient a line into ${path}: "age1…" (from \`imgbuild secrets keygen\`) or "ssh-ed25519 …"`;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Fail(`no recipients to encrypt for: ${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint,
    });
  }
  const recipients = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (recipients.length === 0) throw new Fail(`${path} names no recipient`, { hint });
  return recipients;
}
