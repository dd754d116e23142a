import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { cpioBytes } from "../../archive/cpio.ts";
import { signingKeyFrom, writePayload } from "../../archive/payload.ts";
import { formatLock } from "../../debian/lock/lock.ts";
import { epochOf } from "../../debian/lock/lock-date.ts";
import { type Medium, mediumContent, mediumWord } from "../../schema/base/medium.ts";
import { readAgeFile } from "../../secrets/open.ts";
import { canonicalJson, digestOf, sha256 } from "../../util/digest.ts";
import { localDebs } from "../deploy/inputs.ts";
import { keysToBase } from "../deploy/ship.ts";
import type { OpenDefinition } from "../lock/open-definition.ts";
import { keptIdentityFile } from "./kept-identity.ts";

/** What a definition's payload holds, and its digest, from which nonce and key follow. */
export interface Content {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly digest: string;
}

/**
 * What a machine is rebuilt from: the definition, its lock and files, and its secrets as they are in the repository. `unlock`: files of
 * `unlockFiles`.
 */
export async function contentOf(
  definition: OpenDefinition,
  mirrors: Readonly<Record<string, readonly string[]>>,
  identity: Uint8Array | undefined,
  unlock: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<Content> {
  const { spec, lock, links, dir } = definition;
  const json = (value: unknown) => Buffer.from(canonicalJson(value));
  const executable = [...definition.files].flatMap(([path, { mode }]) => (mode & 0o111 ? [path] : []));
  const files = new Map<string, Uint8Array>([
    [mediumContent.spec, json(spec)],
    [mediumContent.lock, Buffer.from(formatLock(lock))],
    [mediumContent.links, json(links)],
    [mediumContent.mirrors, json(mirrors)],
    [mediumContent.executable, json(executable)],
  ]);
  const secrets = Object.entries(spec.secrets);
  const kept = keptIdentityFile(definition);
  if ((secrets.length > 0 || kept !== undefined) && identity !== undefined)
    files.set(mediumContent.identity, identity);
  if (kept !== undefined) files.set(mediumContent.hostKeys, await readAgeFile(kept));
  // It refuses what is not encrypted, and takes off the armor.
  for (const [name, { file }] of secrets)
    files.set(`${mediumContent.secrets}${name}.age`, await readAgeFile(resolve(dir, file)));
  for (const [path, bytes] of unlock) files.set(path, bytes);
  for (const [path, { bytes }] of definition.files) files.set(`files${path}`, bytes);
  for (const [path, bytes] of await localDebs(dir, lock)) files.set(`debs/${path}`, bytes);
  const digest = digestOf([...files].map(([path, bytes]) => [path, sha256(bytes)]).sort());
  return { files, digest };
}

/**
 * The archive that the kernel unpacks over the base, and the word of its command line that names it. Nonce and signing key follow from
 * the content: whoever can write the medium could sign as well, so the signature shows damage, and the same content gives the same bytes.
 */
export async function mediumArchive(
  definition: OpenDefinition,
  content: Content,
  about: Pick<Medium, "files" | "squashfs" | "unattended"> & {
    readonly volume: string | undefined;
    readonly tree: Medium["tree"];
    readonly program: Uint8Array;
  },
): Promise<{ readonly archive: Uint8Array; readonly word: string }> {
  const { spec, lock } = definition;
  const { volume, tree, files, squashfs, unattended } = about;
  const epoch = epochOf(lock);
  const nonce = sha256(`imgbuild rescue nonce ${content.digest}`);
  const seed = createHash("sha256").update(`imgbuild rescue key ${content.digest}`).digest();
  const { privateKey, publicKey } = signingKeyFrom(seed);
  const payload = await writePayload({
    created: new Date(epoch * 1000),
    expires: undefined,
    nonce,
    machine: { macs: [] },
    files: content.files,
    privateKey,
  });
  const medium = canonicalJson({
    ...{ version: 1, hostname: spec.hostname, definition: definition.digest, epoch, nonce, publicKey },
    ...{ unattended, files, squashfs },
    ...(volume === undefined ? {} : { volume }),
    ...(tree === undefined ? {} : { tree }),
  } satisfies Medium);
  const keys = sshKeys(definition).map((line) => `${line}\n`);
  const brought = {
    "medium.json": medium,
    "medium.tar.gz": payload,
    "rescue.cjs": about.program,
    "ssh/authorized_keys": keys.join(""),
  };
  // As sha256sum(1) reads them: the base looks at each before it starts the program (initramfs/files/usr/lib/imgbuild/runner).
  const sums = Object.entries(brought).map(([path, bytes]) => `${sha256(bytes)}  ${path}\n`);
  const archive = await cpioBytes(
    Object.entries({ ...brought, "medium.sums": sums.join("") }).map(([path, bytes]) => ({
      ...{ type: "file" as const, name: `imgbuild/${path}`, mode: 0o600 },
      content: typeof bytes === "string" ? Buffer.from(bytes) : bytes,
    })),
  );
  return { archive, word: `${mediumWord}=${sha256(medium)}` };
}

/** Who may log in to the base of the medium: whoever will be root of the new system. */
export function sshKeys({ spec }: Pick<OpenDefinition, "spec">): string[] {
  return keysToBase([], spec);
}
