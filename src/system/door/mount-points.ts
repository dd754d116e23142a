import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";

/** Where the door mounts something of its own upon a tree. */
const interfaces = ["/dev", "/proc", "/run", "/sys", "/tmp"];
/** Below these is memory that a run has for itself: whatever is made there is gone with it. */
const memory = ["/run/", "/tmp/", "/dev/shm/"];
/** A host name has 64 characters at most (uname(2)). */
const hostname = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/;
const plainHostname = "localhost";

/**
 * A tree's own names are not to be trusted: bubblewrap follows a link at the place of a mount, and would make what is missing at its other end,
 * outside of the tree. So every place is looked at before, and must be no link. Programs that run in the tree meanwhile cannot change these:
 * for them too something is mounted there.
 */
export function checkRoot(root: string): void {
  const tree = new Tree(root);
  for (const path of interfaces) {
    const found = tree.stat(path);
    if (!found?.isDirectory())
      throw new Fail(`${path} of the tree is ${found === undefined ? "missing" : "no directory"}`, {
        hint: "a package has it otherwise than the system needs it",
      });
  }
}

/** Makes what is missing for something that is mounted there, without following a link, and gives what takes it away. */
export function readyMountPoints(
  root: string,
  places: readonly { readonly to: string; readonly isDirectory: boolean }[],
): () => void {
  const tree = new Tree(root);
  const made: string[] = [];
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
        made.unshift(path);
      } else if (!(directory ? found.isDirectory() : found.isFile()))
        throw new Fail(`${path} of the tree is ${directory ? "no directory" : "no file"}`, {
          hint: `something is to be laid there for a program: ${to}`,
        });
    }
  }
  return () => {
    for (const path of made) if (tree.list(path).length === 0) tree.remove(path);
  };
}

/** The name that the tree gives the machine, as far as it is one: programs are not to see that of the machine that builds. */
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
