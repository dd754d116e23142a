import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Env } from "../../system/files/cache.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import { openDefinition } from "../lock/open-definition.ts";
import { noteEscrowTried } from "../records/escrow-record.ts";
import { type SecretKeys, showSecret } from "../secrets/secrets.ts";
import { unpackEscrow, wantedBy } from "./escrow.ts";
import { type Manifest, missingIn, places } from "./manifest.ts";
import { repositoryFiles } from "./repository-files.ts";

interface Checked {
  readonly manifest: Manifest;
  readonly files: readonly string[];
  /** What it lacks, and what has changed since it was made; a line each. */
  readonly problems: readonly string[];
  /** When it was tried before. */
  readonly before: string | undefined;
}

/** Opens an escrow, compares it with the definition as it is now, and notes that it was tried. */
export async function checkEscrow(
  file: string,
  definition: string | undefined,
  keys: SecretKeys,
  env: Env,
): Promise<Checked> {
  const { manifest, files, missing } = await opened(file, keys);
  const names = [...files.keys()];
  const problems =
    definition === undefined ? missing : await comparedWith(definition, { manifest, files }, names);
  const { hostname, made } = manifest;
  const tried = new Date().toISOString();
  const before = await noteEscrowTried(env, await readFile(file), { hostname, made, tried });
  return { manifest, files: names, problems, before };
}

/** Unpacks it into a new directory that only you can read. */
export async function openEscrow(file: string, directory: string, keys: SecretKeys): Promise<Manifest> {
  const { manifest, files } = await opened(file, keys);
  const top = resolve(directory);
  await mkdir(top, { mode: 0o700 }).catch((error: unknown) => {
    throw new Fail(`${directory} cannot be made: ${reasonOf(error)}`, {
      cause: error,
      hint: "name a directory that is not there yet",
    });
  });
  for (const [name, content] of files) {
    const path = join(top, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
  }
  return manifest;
}

async function opened(file: string, keys: SecretKeys) {
  const secret = await showSecret(file, keys);
  return await unpackEscrow(secret.expose(), file);
}

async function comparedWith(
  path: string,
  escrow: { readonly manifest: Manifest; readonly files: ReadonlyMap<string, Uint8Array> },
  names: readonly string[],
): Promise<string[]> {
  const definition = await openDefinition(path);
  const { manifest, files } = escrow;
  const { hostname } = definition.spec;
  if (hostname !== manifest.hostname)
    throw new Fail(`the escrow is of ${manifest.hostname}, and ${path} of ${hostname}`);
  const now = new Map(
    (await repositoryFiles(definition)).entries.map(({ name, content }) => [name, content]),
  );
  const then = names.filter((name) => name.startsWith(places.repository));
  const changed = [...new Set([...now.keys(), ...then])].filter((name) => {
    const [one, other] = [now.get(name), files.get(name)];
    return one === undefined || other === undefined || Buffer.compare(one, other) !== 0;
  });
  const shown = changed.map((name) => name.slice(places.repository.length)).slice(0, 10);
  const more = changed.length > shown.length ? `, and ${changed.length - shown.length} more` : "";
  return [
    ...missingIn(wantedBy(definition.spec), names),
    ...(definition.digest === manifest.definition
      ? []
      : ["the definition as it is now; make the escrow anew"]),
    ...(changed.length === 0 ? [] : [`files as they are now: ${shown.join(", ")}${more}`]),
  ];
}
