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
  const trees = { lower, merged, upper, times: { epoch, since, now: Date.now() / 1000 } };
  return difference(trees, "", lstatSync(lower), lstatSync(merged));
}

interface Trees {
  readonly lower: string;
  readonly merged: string;
  readonly upper: string | undefined;
  readonly times: Times;
}
interface Times {
  readonly epoch: number;
  readonly since: number;
  readonly now: number;
}

/** Of a path that both trees have. */
function difference(trees: Trees, path: string, before: Stats, after: Stats): Change[] {
  const { lower, merged, times } = trees;
  const [from, to] = [join(lower, path), join(merged, path)];
  const keepsAttributes = same(attributesOf(before, times), attributesOf(after, times));
  if (after.isDirectory() && before.isDirectory()) {
    const inside = insideOf(trees, path);
    return inside.length === 0 && keepsAttributes
      ? []
      : [...inside, setting(path === "" ? "/" : path, after, times)];
  }
  if (after.isFile() && before.isFile() && sameContent(from, before, to, after))
    return keepsAttributes ? [] : [setting(path, after, times)];
  const isSameLink =
    after.isSymbolicLink() && before.isSymbolicLink() && readlinkSync(from) === readlinkSync(to);
  return isSameLink && keepsAttributes
    ? []
    : [...removal(trees, path, before), ...addition(trees, path, after)];
}

/** Of what is in a directory that both trees have. */
function insideOf(trees: Trees, path: string): Change[] {
  const { lower, merged, upper } = trees;
  const before = new Set(names(join(lower, path)));
  const after = new Set(names(join(merged, path)));
  const touched = upper === undefined ? after : new Set(names(join(upper, path)));
  return [...new Set([...before, ...after])].sort().flatMap((name) => {
    const at = `${path}/${name}`;
    if (!after.has(name)) return removal(trees, at, lstatSync(join(lower, at)));
    if (!touched.has(name)) return [];
    const found = lstatSync(join(merged, at));
    return before.has(name)
      ? difference(trees, at, lstatSync(join(lower, at)), found)
      : addition(trees, at, found);
  });
}

function removal(trees: Trees, path: string, found: Stats): Change[] {
  if (!found.isDirectory()) return [{ do: "unlink", path }];
  const at = join(trees.lower, path);
  const inside = names(at).flatMap((name) => removal(trees, `${path}/${name}`, lstatSync(join(at, name))));
  return [...inside, { do: "rmdir", path }];
}

function addition(trees: Trees, path: string, found: Stats): Change[] {
  const attributes = attributesOf(found, trees.times);
  const from = join(trees.merged, path);
  if (found.isSymbolicLink()) return [{ do: "symlink", path, link: readlinkSync(from), ...attributes }];
  if (found.isFile()) return [{ do: "write", path, from, size: found.size, ...attributes }];
  if (!found.isDirectory()) throw new Untold(`${path} is neither a file, a directory nor a link`);
  return [
    { do: "mkdir", path, ...attributes },
    ...names(from).flatMap((name) => addition(trees, `${path}/${name}`, lstatSync(join(from, name)))),
    // What was put in has changed its time.
    setting(path, found, trees.times),
  ];
}

function setting(path: string, found: Stats, times: Times): Change {
  return { do: "set", path, type: found.mode & 0o170000, ...attributesOf(found, times) };
}

function attributesOf(found: Stats, times: Times): Attributes {
  return {
    mode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
    mtime: settledTime(found.mtimeMs / 1000, times),
  };
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
export function settledTime(mtime: number, { epoch, since, now }: Times): number {
  // The kernel's clock for files is a little behind.
  const isNew = mtime > since - 1 && mtime < now + 1;
  return isNew || mtime > epoch ? epoch : Math.floor(mtime);
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
