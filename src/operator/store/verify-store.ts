import { stat } from "node:fs/promises";
import { join } from "node:path";
import { storePath } from "../../debian/http/places.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { lookInto } from "./store-directory.ts";
import type { KeptPackage, StoreIndex } from "./store-index.ts";

/** Damaged packages named at once. */
const shown = 6;

interface Verified {
  readonly index: StoreIndex;
  readonly bytes: number;
  /** Names of files that the index does not have, as an interrupted run leaves them. */
  readonly unlisted: readonly string[];
}

/** Reads all of a store: the index by its signature, and each package by size and SHA-256. What is missing or damaged is refused. */
export async function verifyStore(
  dir: string,
  publicKey: string,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<Verified> {
  const { index, names } = await lookInto(dir, publicKey);
  if (index === undefined)
    throw new Fail(`${dir} has no index, so it is no store`, {
      hint: "`imgbuild store add DEF --store DIR`",
    });
  const problems: string[] = [];
  let done = 0;
  for (const one of index.packages) {
    signal.throwIfAborted();
    const problem = await problemOf(join(dir, storePath(one)), one);
    if (problem !== undefined) problems.push(`${one.name} ${one.version} (${storePath(one)}) ${problem}`);
    done += 1;
    log.progress(done, index.packages.length, "packages");
  }
  if (problems.length > 0) {
    const more = problems.length - shown;
    const lines = [...problems.slice(0, shown), ...(more > 0 ? [`and ${more} more`] : [])];
    throw new Fail(`${dir} is damaged:\n${lines.join("\n")}`, {
      hint: "delete these files, then `imgbuild store add DEF --store DIR` fetches them again",
    });
  }
  const listed = new Set(index.packages.map(({ sha256 }) => `${sha256}.deb`));
  return {
    index,
    bytes: index.packages.reduce((sum, { size }) => sum + size, 0),
    unlisted: [...names].filter((name) => !listed.has(name)),
  };
}

async function problemOf(file: string, { size, sha256 }: KeptPackage): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return "is missing";
  if (found.size !== size) return `has ${found.size} bytes instead of ${size}`;
  return (await fileDigest(file)) === sha256 ? undefined : "has another SHA-256";
}
