import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** As many links as the kernel follows. */
const maxLinks = 40;

/** A path of a package that is not as it should be in the tree; a reason to leave the package to dpkg. */
export class OutOfPlace extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OutOfPlace";
  }
}

/**
 * The real directory outside to which a path of the tree leads. Links are followed as the system in the tree would follow them: an
 * absolute one begins at the tree's root, and none leads out of it. What is found is kept in `directories`.
 */
export function directoryIn(
  tree: { readonly root: string; readonly directories: Map<string, string> },
  path: string,
  links = 0,
): string {
  const known = tree.directories.get(path);
  if (known !== undefined) return known;
  let at = "";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const [index, part] of parts.entries()) {
    if (part === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const next = `${at}/${part}`;
    if (tree.directories.get(next) === tree.root + next) {
      at = next;
      continue;
    }
    const found = lstatSync(join(tree.root, next), { throwIfNoEntry: false });
    if (found?.isDirectory()) {
      at = next;
      tree.directories.set(next, tree.root + next);
    } else if (found?.isSymbolicLink()) {
      if (links >= maxLinks) throw new OutOfPlace(`${path} leads round in circles`);
      const target = readlinkSync(join(tree.root, next));
      const rest = parts.slice(index + 1).join("/");
      const start = target.startsWith("/") ? "" : at;
      const real = directoryIn(tree, `${start}/${target}/${rest}`, links + 1);
      tree.directories.set(path, real);
      return real;
    } else throw new OutOfPlace(`${next} is ${found === undefined ? "not" : "no directory"} in the tree`);
  }
  return tree.root + at;
}
