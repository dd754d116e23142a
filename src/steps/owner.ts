import { chmod, chown, lstat, mkdir, readFile, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fail } from "../util/fail.ts";

/** Numbers of users and groups as the tree knows them. */
export async function ownerIn(
  root: string,
  owner: string,
  group: string,
): Promise<{ uid: number; gid: number }> {
  return {
    uid: await idIn(join(root, "etc/passwd"), owner, "user"),
    gid: await idIn(join(root, "etc/group"), group, "group"),
  };
}

async function idIn(file: string, name: string, what: string): Promise<number> {
  // Root is 0 everywhere, also before the package that writes passwd.
  if (name === "root") return 0;
  const line = (await readFile(file, "utf8")).split("\n").find((one) => one.startsWith(`${name}:`));
  if (line === undefined)
    throw new Fail(`the tree has no ${what} ${name}`, {
      hint: "declare it under `users`, or install the package that makes it",
    });
  return Number(line.split(":")[2]);
}

/** Links of the merged /usr (file-hierarchy(7)); they stay inside of the tree. */
const mergedUsr = ["bin", "sbin", "lib", "lib64"];

/**
 * Makes the directories above a path of the tree, root's, mode 0755; gives the path outside. No part of it may be a
 * symbolic link that leads out of the tree, so links are not followed at all but for those of the merged /usr.
 */
export async function placeFor(root: string, path: string): Promise<string> {
  if (path.split("/").some((part) => part === "." || part === ".."))
    throw new Fail(`${path}: a path of the tree has no \`.\` and no \`..\``);
  let at = root;
  for (const part of dirname(path)
    .split("/")
    .filter((one) => one !== "")) {
    at = join(at, part);
    const found = await lstat(at).catch(() => undefined);
    if (found === undefined) {
      await mkdir(at);
      await chmod(at, 0o755);
      await chown(at, 0, 0);
    } else if (found.isSymbolicLink()) {
      const merged = mergedUsr.includes(part) && (await readlink(at)).replace(/^\//, "") === `usr/${part}`;
      if (!merged || at !== join(root, part))
        throw new Fail(`${path}: ${at.slice(root.length)} is a symbolic link in the tree`, {
          hint: "name the path where it really is",
        });
    } else if (!found.isDirectory())
      throw new Fail(`${path}: ${at.slice(root.length)} is not a directory in the tree`);
  }
  return join(root, path);
}
