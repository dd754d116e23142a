import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lock, LockedPackage } from "../../schema/lock.ts";
import type { Candidate } from "../package/candidate.ts";
import { localArchive } from "../package/local.ts";
import { PackageTable } from "../package/package-table.ts";
import { tableVersion } from "../package/packages-file.ts";

type Tables = readonly Pick<PackageTable, "origin" | "versions">[];

/** Where a lock is not what the signed indices say of the same versions, a line each; and which of its packages they do not have any more. */
export function compareLock(
  lock: Pick<Lock, "packages">,
  tables: Tables,
): { readonly differences: string[]; readonly names: string[]; readonly missing: number } {
  const differences: string[] = [];
  const names: string[] = [];
  let missing = 0;
  for (const locked of lock.packages) {
    if (locked.archive === localArchive) continue;
    const signed = tables
      .filter(({ origin }) => origin.archive === locked.archive)
      .flatMap((table) => table.versions(locked.name))
      .filter((other) => other.version === locked.version && other.architecture === locked.architecture);
    if (signed.length === 0) missing += 1;
    else if (!signed.some((one) => fieldsOf(locked, one).length === 0)) {
      const [one] = signed as [Candidate];
      const fields = fieldsOf(locked, one).join(" and ");
      differences.push(
        `${locked.name} ${locked.version}: another ${fields} than in the signed index of ${one.origin.suite}`,
      );
      names.push(locked.name);
    }
  }
  return { differences, names, missing };
}

function fieldsOf(locked: LockedPackage, signed: Candidate): string[] {
  return [
    ...(locked.sha256 === signed.sha256 ? [] : ["SHA-256"]),
    ...(locked.size === signed.size ? [] : ["size"]),
    ...(locked.path === signed.path ? [] : ["path"]),
  ];
}

/** SHA-256 of a package by the indices in the cache, which were signed; undefined where none of them has it. */
export async function signedDigest(cache: string, locked: LockedPackage): Promise<string | undefined> {
  const directory = join(cache, "index");
  const ending = `.v${tableVersion}.txt`;
  for (const name of (await readdir(directory).catch(() => [])).filter((one) => one.endsWith(ending))) {
    const text = await readFile(join(directory, name), "latin1").catch(() => "");
    const found = versionsIn(text, locked.name).find(
      (other) => other.version === locked.version && other.path === locked.path,
    );
    if (found !== undefined) return found.sha256;
  }
  return undefined;
}

function versionsIn(text: string, name: string): readonly Candidate[] {
  try {
    return new PackageTable(text, { archive: "", suite: "" } as Candidate["origin"]).versions(name);
  } catch {
    return [];
  }
}
