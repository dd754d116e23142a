import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { gunzipTar, type TarEntry, tarGz, tarMembers } from "../../archive/tar.ts";
import type { Spec } from "../../schema/spec.ts";
import { recipientsIn } from "../../secrets/identity.ts";
import { sealForAll, sealWithPassphrase } from "../../secrets/seal.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { contentsOf, graphOf, isKept } from "../../storage/graph/graph.ts";
import { parsedJson, sha256 } from "../../util/digest.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { buildKeyNames } from "../secrets/build-keys.ts";
import { Manifest, manifestName, missingIn, places, type Wanted } from "./manifest.ts";

const caps = { bytes: 1024 * 2 ** 20, members: 40_000 };
const maxAddedBytes = 64 * 2 ** 20;

/** How an escrow is encrypted: for recipients ("age1…", "ssh-ed25519 …"), or by a passphrase. */
export type Lock = { readonly to: readonly string[] } | { readonly passphrase: Secret };

/** What was found of a machine: each as a file. */
export interface Found {
  readonly about: Omit<Manifest, "version" | "files">;
  readonly entries: readonly TarEntry[];
}

interface Opened {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What it lacks by its own manifest. */
  readonly missing: readonly string[];
}

export async function seal(lock: Lock, bytes: Uint8Array): Promise<Uint8Array> {
  return "to" in lock ? await sealForAll(lock.to, bytes) : await sealWithPassphrase(lock.passphrase, bytes);
}

/** The escrow as one file: an age file of a tar.gz. */
export async function packEscrow(found: Found, lock: Lock): Promise<Uint8Array> {
  const files = Object.fromEntries(found.entries.map(({ name, content }) => [name, sha256(content)]));
  const manifest: Manifest = { version: 1, ...found.about, files };
  const own: TarEntry = {
    name: manifestName,
    content: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`),
  };
  return await seal(lock, await tarGz([own, ...found.entries]));
}

/** What such a tar.gz holds. Damage of any of it is a Fail. */
export async function unpackEscrow(packed: Uint8Array, from: string): Promise<Opened> {
  const files = new Map<string, Uint8Array>();
  for await (const { name, content } of tarMembers(gunzipTar(packed, caps))) files.set(name, content);
  const text = files.get(manifestName);
  const parsed = Manifest.safeParse(parsedJson(Buffer.from(text ?? []).toString("utf8")));
  if (!parsed.success)
    throw new Fail(`${from} is no escrow`, { hint: "it is made by `imgbuild escrow make DEF -o FILE`" });
  files.delete(manifestName);
  const manifest = parsed.data;
  const wrong = Object.entries(manifest.files).find(([name, digest]) => {
    const content = files.get(name);
    return content === undefined || sha256(content) !== digest;
  });
  if (wrong !== undefined || files.size !== Object.keys(manifest.files).length)
    throw new Fail(`${from} is damaged: ${wrong?.[0] ?? "a file"} is not what was put in`);
  return { manifest, files, missing: missingIn(manifest.wanted, [...files.keys()]) };
}

/** What a rebuild by a definition needs beside its repository. */
export function wantedBy(spec: Spec): Wanted {
  const { storage } = spec;
  const luks = storage === undefined ? [] : contentsOf(graphOf(storage), "luks");
  return {
    identity: Object.keys(spec.secrets).length > 0,
    keys: buildKeyNames(spec),
    volumes: luks.filter(({ content }) => !isKept(content)).map(({ content }) => content.name),
    disks: storage === undefined ? 0 : writtenDisks(storage).length,
  };
}

/** Files that open secrets, as they are. Whoever could open the escrow by these alone is refused: it would be a lock with its key inside. */
export async function identityEntries(files: readonly string[], lock: Lock): Promise<TarEntry[]> {
  const entries = await Promise.all(
    files.map(async (file, index) => await named(file, places.identity, index)),
  );
  const own = await Promise.all(
    entries.map(({ content }) => recipientsIn(Buffer.from(content).toString("utf8"))),
  );
  if ("to" in lock && lock.to.every((recipient) => own.flat().includes(recipient)))
    throw new Fail("only the identity that is in the escrow would open it", {
      hint: "give another recipient by --to, or leave --to out to type a passphrase",
    });
  return entries;
}

/** Files that were named besides. */
export async function addedEntries(files: readonly string[]): Promise<TarEntry[]> {
  return await Promise.all(files.map(async (file, index) => await named(file, places.added, index)));
}

async function named(file: string, place: string, index: number): Promise<TarEntry> {
  const content = await readFile(file).catch((error: unknown) => {
    throw new Fail(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
  if (content.length > maxAddedBytes) throw new Fail(`${file} has more than ${maxAddedBytes / 2 ** 20} MiB`);
  // Two may have one name.
  return { name: `${place}${index === 0 ? "" : `${index + 1}-`}${basename(file)}`, content, mode: 0o600 };
}
