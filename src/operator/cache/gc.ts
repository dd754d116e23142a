import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { claim } from "../../system/files/file-lock.ts";
import { putAside } from "../../system/files/one-piece.ts";
import type { CacheEntry } from "./entries.ts";

/** What is in the making is locked by who makes it, but not in its first moment. */
const leftoverMs = 600_000;
/** Whom an owner without a number in a user namespace is shown as (/proc/sys/kernel/overflowuid). */
const overflowUid = 65_534;

export type Outcome = "removed" | "in use" | "not ours";

export interface Cleared {
  readonly entries: readonly { readonly entry: CacheEntry; readonly outcome: Outcome }[];
  readonly freed: number;
  readonly left: number;
}

/**
 * Takes out of a cache what was used least recently, until it holds no more than `maxBytes`, and everything that was left half-made. What a
 * process uses, which it has locked, stays. A thing is first renamed, so that no process finds half of it, then deleted.
 */
export async function clearCache(
  all: readonly CacheEntry[],
  options: { readonly maxBytes: number; readonly dryRun: boolean; readonly now: number },
): Promise<Cleared> {
  const { maxBytes, dryRun, now } = options;
  let left = all.reduce((sum, { bytes }) => sum + bytes, 0);
  const before = left;
  const stale = all.filter(({ kind, usedAt }) => kind === "leftovers" && now - usedAt > leftoverMs);
  const useful = all.filter(({ kind }) => kind !== "leftovers" && kind !== "others");
  const locks = new Map<string, Awaited<ReturnType<typeof claim>> | "not ours">();
  const taken: string[] = [];
  const aside: string[] = [];
  const entries: { entry: CacheEntry; outcome: Outcome }[] = [];
  const claimed = async (path: string) => {
    const known = locks.get(path) ?? (await claim(path).catch(closedToUs));
    locks.set(path, known);
    return known;
  };
  const take = async (entry: CacheEntry): Promise<void> => {
    if (taken.some((path) => entry.path.startsWith(`${path}/`))) return;
    const lock = await claimed(entry.lock);
    // Nobody reaches what is not there any more; who took it has counted it.
    if (lock === "gone") return;
    const outcome =
      lock === "busy" ? "in use" : lock === "not ours" || !isOurs(entry) ? "not ours" : "removed";
    entries.push({ entry, outcome });
    if (outcome !== "removed") return;
    taken.push(entry.path);
    if (!dryRun) aside.push(putAside(entry.path));
    left -= entry.bytes;
  };
  try {
    for (const entry of stale) await take(entry);
    for (const entry of byAge(useful)) {
      if (left <= maxBytes) break;
      await take(entry);
    }
  } finally {
    for (const lock of locks.values()) if (typeof lock === "object") lock.release();
  }
  for (const path of aside) await rm(path, { recursive: true, force: true, maxRetries: 5 });
  if (!dryRun) for (const path of new Set(taken.map((path) => dirname(path)))) forgetBases(path);
  return { entries, freed: before - left, left };
}

/** The least recently used first; a layer is as young as the youngest thing that was made of it, and goes after them. */
function byAge(entries: readonly CacheEntry[]): CacheEntry[] {
  const ages = entries.map((entry) => {
    const inside = entries.filter(({ path }) => path.startsWith(`${entry.path}/`));
    return { entry, usedAt: Math.max(entry.usedAt, ...inside.map((part) => part.usedAt)) };
  });
  const length = ({ entry }: { entry: CacheEntry }) => entry.path.length;
  return ages.sort((a, b) => a.usedAt - b.usedAt || length(b) - length(a)).map(({ entry }) => entry);
}

function closedToUs(error: NodeJS.ErrnoException): "not ours" {
  if (error.code === "EACCES" || error.code === "EPERM") return "not ours";
  throw error;
}

/** What root or another mapping of ids has made cannot be deleted by this user; nothing of it is touched then. */
function isOurs({ path, foreign }: CacheEntry): boolean {
  if (foreign) return false;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch {
    return false;
  }
  const uid = process.getuid?.() ?? 0;
  // Root may delete anything, but the root of a user namespace only what is of its ids.
  return found.uid === uid || (uid === 0 && found.uid !== overflowUid);
}

/** Notes of which base a definition makes are of no use without that base. */
function forgetBases(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).filter((one) => one.startsWith("known-"))) {
    const digest = readFileSync(join(directory, name), "utf8");
    if (!existsSync(join(directory, `tree-${digest}`))) rmSync(join(directory, name), { force: true });
  }
}
