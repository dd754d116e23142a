import type { Stats } from "node:fs";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { parentsOf } from "../../util/tree-path.ts";

/** A path whose change cannot be told in these words. */
export class Untold extends Fail {
  constructor(message: string) {
    super(message, { hint: "`imgbuild build --in-vm` copies any tree, or leave it out" });
  }
}

const Attributes = z.strictObject({
  mode: z.int().min(0).max(0o7777),
  uid: z.int().min(0),
  gid: z.int().min(0),
  /** Seconds since the epoch. */
  mtime: z.int(),
});
type Attributes = Readonly<z.infer<typeof Attributes>>;

const path = z.string().startsWith("/");

/** One thing to do to the old tree, in order; paths are absolute in it. */
export const Change = z.discriminatedUnion("do", [
  z.strictObject({ do: z.literal(["unlink", "rmdir"]), path }),
  Attributes.extend({ do: z.literal("mkdir"), path }),
  /** `type`: the file type's bits of the mode. */
  Attributes.extend({ do: z.literal("set"), path, type: z.int() }),
  Attributes.extend({ do: z.literal("symlink"), path, link: z.string() }),
  /** `from`: where the content lies; `size` in bytes. */
  Attributes.extend({ do: z.literal("write"), path, from: path, size: z.int().min(0) }),
]);
export type Change = Readonly<z.infer<typeof Change>>;

/**
 * What makes the tree `lower` into `merged`, in an order that depends on nothing but the two. `upper` is where an overlay keeps
 * what was changed; without it both trees are compared as a whole. Times later than `epoch`, and those from `since` until now, count as `epoch`: what is
 * made has one time, whatever the clock says (all in seconds).
 */
export function treeDelta(
  lower: string,
  merged: string,
  options: { readonly upper?: string | undefined; readonly epoch: number; readonly since: number },
): Change[] {
  const { upper, epoch, since } = options;
  const now = Date.now() / 1000;
  const changes: Change[] = [];
  const attributes = (found: Stats): Attributes => ({
    mode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
    mtime: settledTime(found.mtimeMs / 1000, { epoch, since, now }),
  });
  const set = (path: string, found: Stats): Change => ({
    do: "set",
    path,
    type: found.mode & 0o170000,
    ...attributes(found),
  });
  const remove = (path: string, old: Stats) => {
    if (!old.isDirectory()) {
      changes.push({ do: "unlink", path });
      return;
    }
    for (const name of names(join(lower, path)))
      remove(`${path}/${name}`, lstatSync(join(lower, path, name)));
    changes.push({ do: "rmdir", path });
  };
  const add = (path: string, made: Stats) => {
    const wanted = attributes(made);
    const from = join(merged, path);
    if (made.isDirectory()) {
      changes.push({ do: "mkdir", path, ...wanted });
      for (const name of names(from)) add(`${path}/${name}`, lstatSync(join(from, name)));
      // What was put in has changed its time.
      changes.push(set(path, made));
    } else if (made.isSymbolicLink())
      changes.push({ do: "symlink", path, link: readlinkSync(from), ...wanted });
    else if (made.isFile()) changes.push({ do: "write", path, from, size: made.size, ...wanted });
    else throw new Untold(`${path} is neither a file, a directory nor a link`);
  };
  const compare = (path: string, old: Stats, made: Stats) => {
    if (made.isDirectory() && old.isDirectory()) {
      const before = changes.length;
      visit(path);
      const touched = changes.length > before || !same(attributes(old), attributes(made));
      if (touched) changes.push(set(path === "" ? "/" : path, made));
    } else if (
      made.isFile() &&
      old.isFile() &&
      sameContent(join(lower, path), old, join(merged, path), made)
    ) {
      if (!same(attributes(old), attributes(made))) changes.push(set(path, made));
    } else if (
      !made.isSymbolicLink() ||
      !old.isSymbolicLink() ||
      readlinkSync(join(lower, path)) !== readlinkSync(join(merged, path)) ||
      !same(attributes(old), attributes(made))
    ) {
      remove(path, old);
      add(path, made);
    }
  };
  /** Looks through a directory that both trees have. */
  const visit = (path: string) => {
    const old = new Set(names(join(lower, path)));
    const made = new Set(names(join(merged, path)));
    const touched = upper === undefined ? made : new Set(names(join(upper, path)));
    for (const name of [...new Set([...old, ...made])].sort()) {
      const at = `${path}/${name}`;
      if (!made.has(name)) remove(at, lstatSync(join(lower, at)));
      else if (!touched.has(name)) continue;
      else if (!old.has(name)) add(at, lstatSync(join(merged, at)));
      else compare(at, lstatSync(join(lower, at)), lstatSync(join(merged, at)));
    }
  };
  compare("", lstatSync(lower), lstatSync(merged));
  return changes;
}

/** The changes that a filesystem sees which is mounted there; a mount point is a directory on both. */
export function changesOn(changes: readonly Change[], mount: string, without: readonly string[]): Change[] {
  const inside = mount === "/" ? "/" : `${mount}/`;
  return changes.flatMap((change) => {
    const { path } = change;
    if (without.some((other) => path.startsWith(`${other}/`))) return [];
    if (path.startsWith(inside)) return [{ ...change, path: path.slice(inside.length - 1) }];
    return path === mount && change.do === "set" ? [{ ...change, path: "/" }] : [];
  });
}

/**
 * Parts changes into those whose paths are meant, which may be made first, and the rest. Where one bears on another, by its path, one
 * above or one below, they stay in their order: a change stays with the rest when one of the rest comes before it there.
 */
export function changesApart(
  changes: readonly Change[],
  isMeant: (path: string) => boolean,
): { readonly first: readonly Change[]; readonly rest: readonly Change[] } {
  const first: Change[] = [];
  const rest: Change[] = [];
  const paths = new Set<string>();
  const above = new Set<string>();
  for (const change of changes) {
    const { path } = change;
    const parents = parentsOf(path);
    if (isMeant(path) && ![path, ...parents].some((one) => paths.has(one)) && !above.has(path)) {
      first.push(change);
      continue;
    }
    rest.push(change);
    paths.add(path);
    for (const one of parents) above.add(one);
  }
  return { first, rest };
}

/** A change with the digest of what it writes in the place of where that lies. */
export function withDigest(change: Change): unknown {
  return change.do === "write" ? { ...change, from: sha256(readFileSync(change.from)) } : change;
}

/** The time that a file keeps: what is made now is as old as what it is made of. */
export function settledTime(
  mtime: number,
  times: { readonly epoch: number; readonly since: number; readonly now: number },
): number {
  const { epoch, since, now } = times;
  // The kernel's clock for files is a little behind.
  const made = mtime > since - 1 && mtime < now + 1;
  return made || mtime > epoch ? epoch : Math.floor(mtime);
}

/** Sorted by bytes, as no locale would. */
function names(directory: string): string[] {
  return readdirSync(directory).sort();
}

function same(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtime === b.mtime;
}

function sameContent(a: string, statA: Stats, b: string, statB: Stats): boolean {
  return statA.size === statB.size && readFileSync(a).equals(readFileSync(b));
}
