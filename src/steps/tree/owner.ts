import { dirname } from "node:path";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";

/** Numbers of users and groups as the tree knows them. */
export function ownerIn(root: string, owner: string, group: string): { uid: number; gid: number } {
  const tree = new Tree(root);
  return {
    uid: idIn(tree, "/etc/passwd", owner, "user"),
    gid: idIn(tree, "/etc/group", group, "group"),
  };
}

function idIn(tree: Tree, file: string, name: string, what: string): number {
  // Root is 0 everywhere, also before the package that writes passwd.
  if (name === "root") return 0;
  const line = (tree.text(file) ?? "").split("\n").find((text) => text.startsWith(`${name}:`));
  if (line === undefined)
    throw new Fail(`the tree has no ${what} ${name}`, {
      hint: "declare it under `users`, or install the package that makes it",
    });
  return Number(line.split(":")[2]);
}

/** Links of the merged /usr (file-hierarchy(7)). */
const mergedUsr = ["bin", "sbin", "lib", "lib64"];

/**
 * Makes the directories above a path that a definition names, root's, mode 0755. No part of it may be a symbolic link, but for
 * those of the merged /usr: what a definition says is then where it says.
 */
export function placeFor(root: string, path: string): Tree {
  if (path.split("/").some((part) => part === "." || part === ".."))
    throw new Fail(`${path}: a path of the tree has no \`.\` and no \`..\``);
  const tree = new Tree(root);
  let at = "";
  for (const part of dirname(path)
    .split("/")
    .filter((one) => one !== "")) {
    at = `${at}/${part}`;
    const found = tree.stat(at);
    if (found === undefined) {
      tree.makeDirectories(at);
      tree.chmod(at, 0o755);
      tree.chown(at, 0, 0);
    } else if (found.isSymbolicLink()) {
      const merged = mergedUsr.includes(part) && tree.link(at)?.replace(/^\//, "") === `usr/${part}`;
      if (!merged || at !== `/${part}`) throw isLink(at, path);
    } else if (!found.isDirectory()) throw new Fail(`${path}: ${at} is not a directory in the tree`);
  }
  return tree;
}
