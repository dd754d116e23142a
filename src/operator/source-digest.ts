import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { digestOf, sha256 } from "../util/digest.ts";

const sources = fileURLToPath(new URL("..", import.meta.url));
/** Folders of imgbuild's own code that decide what an image holds. */
const folders = [
  "archive",
  "boot",
  "debian",
  "dsl",
  "operator",
  "schema",
  "secrets",
  "steps",
  "storage",
  "system",
  "util",
];

let known: Promise<string> | undefined;

/** Digest of the code that builds: what another version of it made is not what this one would make. */
export async function sourceDigest(): Promise<string> {
  known ??= digestSources();
  return await known;
}

async function digestSources(): Promise<string> {
  const parts: [string, string][] = [];
  for (const folder of folders) {
    const names = await readdir(join(sources, folder), { recursive: true });
    for (const name of names.filter((one) => /\.(ts|asc|gpg|pgp)$/.test(one)).sort())
      parts.push([`${folder}/${name}`, sha256(await readFile(join(sources, folder, name)))]);
  }
  return digestOf(parts);
}
