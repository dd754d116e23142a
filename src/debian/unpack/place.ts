import type { Stats } from "node:fs";
import {
  chmodSync,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { diverted, type Overrides, type TreeRules } from "./dpkg-rules.ts";
import { conffilesOf, type StagedEntry, type StagedPackage } from "./stage.ts";
import { directoryIn, OutOfPlace } from "./tree-paths.ts";

/** The tree that packages are placed in, and what is known of it. It is read again after maintainer scripts have run. */
export interface PlacingTree {
  readonly root: string;
  readonly rules: TreeRules;
  /** Real directories by the paths that lead to them. */
  readonly directories: Map<string, string>;
  /** Whose a path is: no two packages may have one that is no directory. */
  readonly owners: Map<string, string>;
}

/**
 * Puts a package's files in their places as `dpkg --unpack` does where nothing of it was installed before. Whatever is out of the
 * ordinary (a path of two packages, a device, a directory where a file should be) is a reason, given back, to leave the package
 * to dpkg, which does all of it again.
 *
 * In the bootstrap there is no dpkg yet: conffiles go to their places at once, and directories take the last package's mode,
 * as tar leaves them.
 */
export function placePackage(
  staged: StagedPackage,
  tree: PlacingTree,
  options: { readonly bootstrap: boolean },
): string | undefined {
  const { name } = staged.locked;
  const conffiles = new Set(options.bootstrap ? [] : conffilesOf(staged.control).map(({ path }) => path));
  for (const entry of staged.entries) {
    if (entry.type === "special") return `${entry.path} is a device or a pipe`;
    if (entry.type === "directory") continue;
    const owner = tree.owners.get(entry.path);
    if (owner !== undefined && owner !== name) return `${entry.path} is also in ${owner}`;
    tree.owners.set(entry.path, name);
  }
  try {
    for (const entry of staged.entries) placeEntry(entry, name, conffiles, tree, options.bootstrap);
  } catch (error) {
    if (error instanceof OutOfPlace) return error.message;
    throw error;
  }
  return undefined;
}

function placeEntry(
  entry: StagedEntry,
  name: string,
  conffiles: ReadonlySet<string>,
  tree: PlacingTree,
  bootstrap: boolean,
): void {
  const used = diverted(tree.rules, entry.path, name);
  if (used === "/.") {
    if (bootstrap) chmodSync(tree.root, entry.mode);
    return;
  }
  if (entry.type === "directory") {
    placeDirectory(entry, used, tree, bootstrap);
    return;
  }
  const parent = directoryIn(tree, dirname(used));
  const to = join(parent, basename(used));
  if (entry.type === "file") {
    const conffile = conffiles.has(entry.path);
    if (conffile && found(to)?.isSymbolicLink()) throw new OutOfPlace(`${entry.path} is a link in the tree`);
    adjust(entry, entry.staged!, tree.rules);
    move(entry.staged!, conffile ? `${to}.dpkg-new` : to);
    return;
  }
  if (entry.type === "hardlink") {
    const target = `/${entry.link.replace(/^\.?\/+/, "")}`;
    const other = diverted(tree.rules, target, name);
    const from = join(directoryIn(tree, dirname(other)), basename(other));
    const suffix = conffiles.has(entry.path) ? ".dpkg-new" : "";
    replacing(`${to}${suffix}`, (path) => linkSync(conffiles.has(target) ? `${from}.dpkg-new` : from, path));
    return;
  }
  // A directory is never replaced by a link, nor a link by another to the same directory.
  const there = found(to);
  if (there?.isDirectory() || (there?.isSymbolicLink() && leadsTo(used, entry.link, tree))) return;
  replacing(to, (path) => symlinkSync(entry.link, path));
  const { uid, gid } = ownerOf(entry, tree.rules);
  lchownSync(to, uid, gid);
  lutimesSync(to, entry.mtime, entry.mtime);
}

function placeDirectory(entry: StagedEntry, used: string, tree: PlacingTree, bootstrap: boolean): void {
  const known = tree.directories.get(used);
  if (known !== undefined && !bootstrap) return;
  const at = join(directoryIn(tree, dirname(used)), basename(used));
  const there = found(at);
  const { uid, gid, mode } = ownerOf(entry, tree.rules);
  if (there === undefined) mkdirSync(at);
  else if (there.isSymbolicLink()) {
    // A link to a directory counts as that directory, whose own package cares for it.
    directoryIn(tree, used);
    return;
  } else if (!there.isDirectory()) throw new OutOfPlace(`${entry.path} is not a directory in the tree`);
  if (there !== undefined && !bootstrap) return;
  lchownSync(at, uid, gid);
  chmodSync(at, mode);
  if (there === undefined) utimesSync(at, entry.mtime, entry.mtime);
  tree.directories.set(used, at);
}

/** Owner and mode as the tree's own names and overrides say, where they differ from the archive's. */
function adjust(entry: StagedEntry, path: string, rules: TreeRules): void {
  const { uid, gid, mode } = ownerOf(entry, rules);
  if (uid === entry.uid && gid === entry.gid && mode === entry.mode) return;
  lchownSync(path, uid, gid);
  // Changing the owner takes set-user-ID away.
  chmodSync(path, mode);
}

function ownerOf(entry: StagedEntry, { users, groups, overrides }: TreeRules): Overrides {
  return (
    overrides.get(entry.path) ?? {
      uid: users.get(entry.userName) ?? entry.uid,
      gid: groups.get(entry.groupName) ?? entry.gid,
      mode: entry.mode,
    }
  );
}

function leadsTo(path: string, link: string, tree: PlacingTree): boolean {
  try {
    const target = link.startsWith("/") ? link : `${dirname(path)}/${link}`;
    return directoryIn(tree, path) === directoryIn(tree, target);
  } catch (error) {
    if (error instanceof OutOfPlace) return false;
    throw error;
  }
}

/** Replaces what is no directory. */
function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EISDIR") throw new OutOfPlace(`${to} is a directory in the tree`);
    if (code !== "EXDEV") throw error;
    // Another filesystem is mounted there.
    const { uid, gid, mode, atime, mtime } = lstatSync(from);
    rmSync(to, { force: true });
    copyFileSync(from, to);
    lchownSync(to, uid, gid);
    chmodSync(to, mode & 0o7777);
    utimesSync(to, atime, mtime);
    unlinkSync(from);
  }
}

function replacing(to: string, make: (path: string) => void): void {
  try {
    make(to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") throw code === "ENOENT" ? new OutOfPlace(`${to} leads nowhere`) : error;
    if (found(to)?.isDirectory()) throw new OutOfPlace(`${to} is a directory in the tree`);
    unlinkSync(to);
    make(to);
  }
}

function found(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
