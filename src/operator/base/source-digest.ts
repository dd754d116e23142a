import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { digestOf, sha256 } from "../../util/digest.ts";

const sources = fileURLToPath(new URL("../..", import.meta.url));
/** Folders of imgbuild's own code that decide nothing of what an image holds; all others do. */
const decideNothing = ["cli", "target", "testing", "transport", "vm"];

let known: Promise<string> | undefined;

/** Digest of the code that builds: what another version of it made is not what this one would make. */
export async function sourceDigest(): Promise<string> {
  known ??= digestSources(sources);
  return await known;
}

/** The same of another copy of the sources. */
export async function digestSources(from: string): Promise<string> {
  const parts: [string, string][] = [];
  const folders = await readdir(from, { withFileTypes: true });
  for (const { name: folder } of folders.filter((one) => one.isDirectory()).sort(byName)) {
    if (decideNothing.includes(folder)) continue;
    const names = await readdir(join(from, folder), { recursive: true });
    for (const name of names.filter((entry) => /\.(ts|asc|gpg|pgp)$/.test(entry)).sort())
      parts.push([`${folder}/${name}`, sha256(await readFile(join(from, folder, name)))]);
  }
  return digestOf(parts);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
