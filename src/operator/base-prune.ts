import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fail } from "../util/fail.ts";

/**
 * Paths of a tree that a glob names, existing ones only, sorted. `*` stands for any characters within one name; a
 * directory stands for all below it. A symlink is never followed, so that nothing outside the tree can be meant.
 */
export function globTree(root: string, glob: string): readonly string[] {
  const parts = glob.split("/").filter((part) => part !== "");
  if (parts.length === 0 || parts.some((part) => part === "." || part === ".." || part.includes("**")))
    throw new Fail(`glob ${glob}: accepted is an absolute path in which * stands for part of one name`);
  let found = [""];
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    found = found.flatMap((at) =>
      match(root, at, part).filter((path) => last || isDirectory(join(root, path))),
    );
  }
  return found.sort();
}

/** Removes what the globs name. */
export function pruneTree(root: string, globs: readonly string[]): void {
  for (const glob of globs)
    for (const path of globTree(root, glob)) rmSync(join(root, path), { recursive: true, force: true });
}

function match(root: string, at: string, part: string): string[] {
  const pattern = new RegExp(`^${part.split("*").map(escapeRegExp).join(".*")}$`, "s");
  return readdirSync(join(root, at) || "/")
    .filter((name) => pattern.test(name))
    .map((name) => `${at}/${name}`);
}

function isDirectory(path: string): boolean {
  return lstatSync(path).isDirectory();
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
