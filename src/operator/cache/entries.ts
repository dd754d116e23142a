import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** What a cache holds, by what it is good for. */
export const cacheKinds = [
  "packages",
  "indices",
  "bases",
  "trees",
  "images",
  "hosts",
  "leftovers",
  "others",
] as const;
type CacheKind = (typeof cacheKinds)[number];

/** One thing that can be taken out of the cache by itself. */
export interface CacheEntry {
  readonly kind: CacheKind;
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
  /** What is locked by whoever uses it. */
  readonly lock: string;
  /** Some of it cannot be read by us. */
  readonly foreign: boolean;
}

const digest = /^[0-9a-f]{32}$/;
/** Directories and files in the making, and what a clearing has not got round to deleting. */
const leftover = /\.(new-[A-Za-z0-9]+|gone-[0-9a-f]+|tmp|part)$/;
/** Of a layer: what is made of its tree. */
const made = /^(disk|filled|initramfs|upper)-[0-9a-f-]+$/;

/** Everything in a cache; what has no name of ours counts as other, since a cache may share its directory. A layer's own tree is one entry, and so is each thing that was made of it. */
export function cacheEntries(cache: string): CacheEntry[] {
  return namesIn(cache).flatMap((one): CacheEntry[] => {
    const path = join(cache, one.name);
    if (one.name === "packages") return filesIn("packages", path, /^[0-9a-f]{64}\.deb(\.|$)/);
    if (one.name === "index") return filesIn("indices", path, /^[0-9a-f]{64}\.|_InRelease(\.|$)/);
    if (/^base(-[0-9a-f]+)?$/.test(one.name)) return below(path, "bases", /^(tree-)?[0-9a-f]{32}$/);
    if (/^tree(-[0-9a-f]+)?$/.test(one.name)) return layersIn(path);
    // Dates of the indices that were seen, by which older ones are refused: a few bytes, which stay.
    if (one.name === "seen") return [];
    if (one.name === "image") return below(path, "images", digest);
    if (one.name === "packed") return below(path, "trees", digest);
    if (/^stock-host-[0-9a-f]+(\.|$)/.test(one.name))
      return [entry(leftover.test(one.name) ? "leftovers" : "hosts", path)];
    return [entry("others", path)];
  });
}

/** It holds trees, whose files have many owners. */
export function hasTrees(cache: string): boolean {
  return namesIn(cache).some(({ name }) => /^(tree|base)(-|$)/.test(name));
}

export function sumOf(entries: readonly CacheEntry[]): { entries: number; bytes: number } {
  return { entries: entries.length, bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function below(directory: string, kind: CacheKind, name: RegExp): CacheEntry[] {
  return namesIn(directory).map((one) => {
    const path = join(directory, one.name);
    return entry(kindOf(one.name, kind, name), path);
  });
}

function kindOf(found: string, kind: CacheKind, name: RegExp): CacheKind {
  if (leftover.test(found)) return "leftovers";
  return name.test(found) ? kind : "others";
}

/** A file is locked with its directory. What was only read has its time of access, if the disk keeps any. */
function filesIn(kind: CacheKind, directory: string, name: RegExp): CacheEntry[] {
  return namesIn(directory).map((one) => {
    const path = join(directory, one.name);
    const found = entry(name.test(one.name) ? kindOf(one.name, kind, name) : "others", path);
    const read = lstatSync(path, { throwIfNoEntry: false })?.atimeMs ?? 0;
    return { ...found, usedAt: Math.max(found.usedAt, read), lock: directory };
  });
}

function layersIn(directory: string): CacheEntry[] {
  return namesIn(directory).flatMap((one) => {
    const path = join(directory, one.name);
    if (leftover.test(one.name)) return [entry("leftovers", path)];
    if (!digest.test(one.name)) return [entry("others", path)];
    const parts = namesIn(path).filter(({ name }) => made.test(name) || leftover.test(name));
    const own = parts.map(({ name }) => ({
      ...entry(leftover.test(name) ? "leftovers" : "trees", join(path, name)),
      lock: path,
    }));
    return [...own, entry("trees", path, new Set(parts.map(({ name }) => name)))];
  });
}

function entry(kind: CacheKind, path: string, without: ReadonlySet<string> = new Set()): CacheEntry {
  let bytes = 0;
  let foreign = false;
  const seen = new Set<number>();
  const visit = (at: string, skip: ReadonlySet<string>): void => {
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found === undefined || (found.nlink > 1 && !found.isDirectory() && seen.has(found.ino))) return;
    seen.add(found.ino);
    bytes += found.blocks * 512;
    if (!found.isDirectory()) return;
    const names = namesIn(at, () => {
      foreign = true;
    });
    for (const { name } of names) if (!skip.has(name)) visit(join(at, name), new Set());
  };
  visit(path, without);
  const usedAt = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return { kind, path, bytes, usedAt, lock: path, foreign };
}

/** Somebody else may be deleting meanwhile. */
function namesIn(directory: string, closed: () => void = () => {}): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") closed();
    else if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    return [];
  }
}
