import { distribution } from "../../tables/distribution.ts";
import { Tree } from "../../tree/tree.ts";

/** Owner and mode that the tree gives a path in place of its package's (dpkg-statoverride(1)). */
export interface Overrides {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** What the tree says on how a package's files are placed; maintainer scripts may change it. */
export interface TreeRules {
  /** Path, and where it goes instead, but for files of one package (dpkg-divert(1)). */
  readonly diversions: ReadonlyMap<string, { readonly to: string; readonly by: string }>;
  readonly overrides: ReadonlyMap<string, Overrides>;
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Reads them from the tree as it is now; what is not there says nothing. */
export function readRules(root: string): TreeRules {
  const tree = new Tree(root);
  const textOf = (path: string) => tree.text(path) ?? "";
  const users = ids(textOf("/etc/passwd"));
  const groups = ids(textOf("/etc/group"));
  return {
    diversions: diversionsIn(textOf(`${distribution.database}/diversions`)),
    overrides: overridesIn(textOf(`${distribution.database}/statoverride`), users, groups),
    users,
    groups,
  };
}

/** The path that is used for a file of that package. */
export function diverted(rules: TreeRules, path: string, package_: string): string {
  const diversion = rules.diversions.get(path);
  return diversion === undefined || diversion.by === package_ ? path : diversion.to;
}

/** Three lines each: the path, where it goes, and the package that diverts it, or ":". */
function diversionsIn(text: string): TreeRules["diversions"] {
  const lines = text.split("\n");
  const found = new Map<string, { to: string; by: string }>();
  for (let at = 0; at + 2 < lines.length; at += 3)
    found.set(lines[at]!, { to: lines[at + 1]!, by: lines[at + 2]! });
  return found;
}

/** "root messagebus 4754 /usr/lib/…"; a name may be a number after a "#". */
function overridesIn(
  text: string,
  users: ReadonlyMap<string, number>,
  groups: ReadonlyMap<string, number>,
): TreeRules["overrides"] {
  const found = new Map<string, Overrides>();
  const id = (name: string, known: ReadonlyMap<string, number>) =>
    name.startsWith("#") ? Number(name.slice(1)) : known.get(name);
  for (const line of text.split("\n")) {
    const [, user, group, mode, path] = /^(\S+) (\S+) ([0-7]+) (\/.*)$/.exec(line) ?? [];
    if (user === undefined || group === undefined || mode === undefined || path === undefined) continue;
    const uid = id(user, users);
    const gid = id(group, groups);
    if (uid === undefined || gid === undefined) continue;
    found.set(path, { uid, gid, mode: Number.parseInt(mode, 8) });
  }
  return found;
}

function ids(text: string): Map<string, number> {
  const entries = text.split("\n").map((line) => line.split(":"));
  return new Map(entries.filter((fields) => fields.length > 2).map(([name, , id]) => [name!, Number(id)]));
}
