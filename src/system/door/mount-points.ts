import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";

/** Where the door mounts something of its own over a tree. */
const interfaces = ["/dev", "/proc", "/run", "/sys", "/tmp"];
/** These are in memory for one run: what is made there is gone with the run. */
const memory = ["/run/", "/tmp/", "/dev/shm/"];
/** A host name has 64 characters at most (uname(2)). */
const hostname = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/;
const plainHostname = "localhost";

/**
 * Do not trust a tree's own names: bubblewrap follows a link at the place of a mount, and would make what is missing at its other end,
 * outside of the tree. So every place is checked before, and must not be a link. Programs that run in the tree meanwhile cannot change
 * these places: for them too something is mounted there.
 */
export function checkRoot(root: string): void {
  const tree = new Tree(root);
  for (const path of interfaces) {
    const found = tree.stat(path);
    if (!found?.isDirectory())
      throw new Fail(`${path} of the tree is ${found === undefined ? "missing" : "no directory"}`, {
        hint: "a package made it in another way than the system needs",
      });
  }
}

/** Makes a missing mount point without following a link; returns what removes it. */
export function readyMountPoints(
  root: string,
  places: readonly { readonly to: string; readonly isDirectory: boolean }[],
): () => void {
  const tree = new Tree(root);
  const added: string[] = [];
  for (const { to, isDirectory } of places) {
    if (memory.some((place) => to.startsWith(place))) continue;
    const names = to.slice(1).split("/");
    for (let count = 1; count <= names.length; count += 1) {
      const path = `/${names.slice(0, count).join("/")}`;
      const directory = isDirectory || count < names.length;
      const found = tree.stat(path);
      if (found === undefined) {
        if (directory) tree.makeDirectories(path);
        else tree.write(path, "");
        added.unshift(path);
      } else if (!(directory ? found.isDirectory() : found.isFile()))
        throw new Fail(`${path} of the tree is ${directory ? "no directory" : "no file"}`, {
          hint: `it has to be mounted there for a program: ${to}`,
        });
    }
  }
  return () => {
    for (const path of added) if (tree.list(path).length === 0) tree.remove(path);
  };
}

/** The name that the tree gives the machine, as far as it is one: programs must not see the name of the machine that builds. */
export function hostnameOf(root: string): string {
  const tree = new Tree(root);
  try {
    const found = tree.find("/etc/hostname");
    if (!found?.isFile() || found.size > 1024) return plainHostname;
    const name = tree.text("/etc/hostname")?.trim() ?? "";
    return hostname.test(name) ? name : plainHostname;
  } catch (error) {
    if (error instanceof Fail) return plainHostname;
    throw error;
  }
}
