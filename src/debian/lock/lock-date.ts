import type { Lock } from "../../schema/lock.ts";

/**
 * Seconds since the epoch that files of the making get, the same each time: the date of the newest index, of the lock in which a
 * version changed last.
 */
export function epochOf({ date, indices }: Pick<Lock, "date" | "indices">): number {
  const dates = date === undefined ? indices.map((index) => index.date) : [date];
  return Math.max(1, ...dates.map((text) => Math.floor(Date.parse(text) / 1000)));
}

/**
 * A lock with the date of the one before it where it only has other packages besides, or lacks some: what a build has made of the
 * common ones stays as it is.
 */
export function withDateOf(old: Lock | undefined, fresh: Lock): Lock {
  if (old === undefined || fresh === old) return fresh;
  const before = new Map(old.packages.map(({ name, sha256 }) => [name, sha256]));
  if (fresh.packages.some(({ name, sha256 }) => (before.get(name) ?? sha256) !== sha256)) return fresh;
  const epoch = epochOf(old);
  return epoch === epochOf(fresh) ? fresh : { ...fresh, date: new Date(epoch * 1000).toISOString() };
}
