import type { LockedPackage } from "../../schema/lock.ts";
import { splitLate } from "./late-packages.ts";
import type { ControlFile } from "./stage.ts";

/** What is larger belongs to a server's ground, and would be written anew with every change of the leaves. */
const mostBytesEach = 4 * 1024 * 1024;
const mostBytes = 32 * 1024 * 1024;

/**
 * Names of the packages that can be installed last without a difference to any other: none has a maintainer script, and nothing that
 * has one depends on it. Which they are depends on the packages alone, so the same lock always comes in the same two parts. One
 * leaf more leaves the first part as it is. Without word of dependencies, in the lock of old, there are none.
 */
export function leavesOf(
  packages: readonly LockedPackage[],
  isActive: (locked: LockedPackage) => boolean,
): ReadonlySet<string> {
  if (packages.every(({ depends }) => depends === undefined)) return new Set();
  const others = packages.filter(({ bootstrap }) => !bootstrap);
  const { soon } = splitLate(others);
  const sizes = new Map(packages.map(({ name, size }) => [name, size]));
  const leaves = new Set(
    soon.filter((locked) => locked.size <= mostBytesEach && !isActive(locked)).map(({ name }) => name),
  );
  keepLeaves(leaves, packages);
  const bytes = () => [...leaves].reduce((sum, name) => sum + sizes.get(name)!, 0);
  while (bytes() > mostBytes) {
    leaves.delete([...leaves].reduce((most, name) => (sizes.get(name)! > sizes.get(most)! ? name : most)));
    keepLeaves(leaves, packages);
  }
  return leaves;
}

/** Takes out what a package depends on that is none of them, over others too. */
function keepLeaves(leaves: Set<string>, packages: readonly LockedPackage[]): void {
  for (let before = -1; before !== leaves.size; ) {
    before = leaves.size;
    for (const { name, depends = [] } of packages)
      if (!leaves.has(name)) for (const one of depends) leaves.delete(one);
  }
}

/** Whether a package runs anything when it, or another, is installed: a script, a question of debconf, a trigger that it waits for. */
export function isActivePackage(control: ReadonlyMap<string, ControlFile>): boolean {
  if (["preinst", "postinst", "config", "templates"].some((name) => control.has(name))) return true;
  const triggers = control.get("triggers")?.bytes.toString("utf8") ?? "";
  return /^\s*interest/m.test(triggers);
}
