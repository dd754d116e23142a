import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";

/**
 * Paths of a tree that a glob names, existing ones only, sorted. `*` stands for any characters within one name; a
 * directory stands for all below it. A symlink is never followed, so that nothing outside the tree can be meant.
 */
export function globTree(root: string, glob: string): readonly string[] {
  const parts = glob.split("/").filter((part) => part !== "");
  if (parts.length === 0 || parts.some((part) => part === "." || part === ".." || part.includes("**")))
    throw new Fail(`glob ${glob}: accepted is an absolute path in which * stands for part of one name`);
  const tree = new Tree(root);
  let found = [""];
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    found = found.flatMap((at) =>
      match(tree, at, part).filter((path) => last || tree.stat(path)?.isDirectory()),
    );
  }
  return found.sort();
}

/** Removes what the globs name. */
export function pruneTree(root: string, globs: readonly string[]): void {
  for (const glob of globs) for (const path of globTree(root, glob)) new Tree(root).remove(path);
}

function match(tree: Tree, at: string, part: string): string[] {
  const pattern = new RegExp(`^${part.split("*").map(escapeRegExp).join(".*")}$`, "s");
  return tree
    .list(at)
    .filter((name) => pattern.test(name))
    .map((name) => `${at}/${name}`);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
