import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Fail } from "../util/fail.ts";
import { neededLibraries } from "./base-elf.ts";

/** Where the programs of a tree and what they link to are; /bin, /sbin and /lib are symlinks there. */
const places = ["usr/bin", "usr/sbin", "usr/lib", "usr/libexec"];
/** Objects without a linker: kernel modules, GRUB's own. */
const foreign = /^usr\/lib\/(modules|grub|systemd\/boot|firmware)\//;

/** The libraries that a pruned tree lacks: "/usr/bin/apt needs libapt-pkg.so.7.0". A usable tree has none. */
export function missingLibraries(root: string): readonly string[] {
  const files = places.flatMap((place) => list(root, place)).filter((path) => !foreign.test(path));
  const present = new Set(files.map((path) => basename(path)));
  const missing: string[] = [];
  for (const path of files)
    for (const name of readNeeded(join(root, path)) ?? [])
      if (!present.has(name)) missing.push(`/${path} needs ${name}`);
  return missing.sort();
}

/** A program's libraries, directly and indirectly needed, with the dynamic linker: name → absolute path in the tree. */
export function libraryClosure(
  root: string,
  program: string,
  libraryDirs: readonly string[],
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (path: string) => {
    for (const name of readNeeded(join(root, path)) ?? []) {
      if (found.has(name)) continue;
      const dir = libraryDirs.find((each) => readdirSync(join(root, each)).includes(name));
      if (dir === undefined) throw new Fail(`${path} needs ${name}, which the base's tree does not hold`);
      found.set(name, `${dir}/${name}`);
      visit(`${dir}/${name}`);
    }
  };
  visit(program);
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readNeeded(path: string): readonly string[] | undefined {
  return neededLibraries(readFileSync(path));
}

/** Regular files and symlinks that lead to one, relative to the root. */
function list(root: string, place: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, place), { withFileTypes: true })) {
    const path = `${place}/${entry.name}`;
    if (entry.isDirectory()) found.push(...list(root, path));
    else if (entry.isFile()) found.push(path);
    else if (entry.isSymbolicLink() && entry.name.includes(".so")) found.push(path);
  }
  return found;
}
