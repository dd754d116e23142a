import { basename } from "node:path";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { neededLibraries } from "./elf.ts";

/** Where the programs of a tree and what they link to are; /bin, /sbin and /lib are symlinks there. */
const places = ["usr/bin", "usr/sbin", "usr/lib", "usr/libexec"];
/** Objects without a linker: kernel modules, GRUB's own. */
const foreign = /^usr\/lib\/(modules|grub|systemd\/boot|firmware)\//;

/** The libraries that a pruned tree lacks: "/usr/bin/apt needs libapt-pkg.so.7.0". A usable tree has none. */
export function missingLibraries(root: string): readonly string[] {
  const tree = new Tree(root);
  const files = places.flatMap((place) => list(tree, place)).filter((path) => !foreign.test(path));
  const present = new Set(files.map((path) => basename(path)));
  const missing: string[] = [];
  for (const path of files)
    for (const name of readNeeded(tree, path) ?? [])
      if (!present.has(name)) missing.push(`/${path} needs ${name}`);
  return missing.sort();
}

/** A program's libraries, directly and indirectly needed, with the dynamic linker: name → absolute path in the tree. */
export function libraryClosure(
  root: string,
  program: string,
  libraryDirs: readonly string[],
): ReadonlyMap<string, string> {
  const tree = new Tree(root);
  const found = new Map<string, string>();
  const visit = (path: string) => {
    for (const name of readNeeded(tree, path) ?? []) {
      if (found.has(name)) continue;
      const dir = libraryDirs.find((each) => tree.list(each).includes(name));
      if (dir === undefined) throw new Fail(`${path} needs ${name}, which the base's tree does not hold`);
      found.set(name, `${dir}/${name}`);
      visit(`${dir}/${name}`);
    }
  };
  visit(program);
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readNeeded(tree: Tree, path: string): readonly string[] | undefined {
  const bytes = tree.read(path);
  return bytes === undefined ? undefined : neededLibraries(bytes);
}

/** Regular files and symlinks that lead to one, relative to the root. */
function list(tree: Tree, place: string): string[] {
  const found: string[] = [];
  for (const name of tree.list(place)) {
    const path = `${place}/${name}`;
    const entry = tree.stat(path);
    if (entry?.isDirectory()) found.push(...list(tree, path));
    else if (entry?.isFile()) found.push(path);
    else if (entry?.isSymbolicLink() && name.includes(".so")) found.push(path);
  }
  return found;
}
