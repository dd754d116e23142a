import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkAvailable } from "../debian/http/available.ts";
import { fetchAll } from "../debian/http/fetch.ts";
import type { Keepers } from "../debian/http/places.ts";
import type { LockedPackage } from "../schema/lock.ts";
import type { Log } from "../util/log.ts";

/** What the base needs while it makes the new system, beside the packages. */
const workingBytes = 300 * 2 ** 20;
/** Of so many packages a mirror is asked for the first bytes, to see whether it still answers. */
const asked = 3;
const mib = 2 ** 20;

/** Packages that are in RAM already. */
export interface Prefetched {
  /** Puts one at `file`, if it is among them; it is not needed in RAM any more then. */
  take(locked: LockedPackage, file: string): Promise<void>;
}

/**
 * Fetches all packages into RAM before the first write, where it holds them, so that no mirror and no network is needed after it. Each is
 * checked by its digest. What stands against it is said, and then they come while the disks are written, as they always can; so do those
 * that have not come within `boundMs`, as the dead man waits for the first write. A mirror that is slow still answers then; one that does
 * not ends the deploy while the old system is there.
 */
export async function prefetch(
  packages: readonly LockedPackage[],
  options: {
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
    readonly keepers: Keepers;
    /** In RAM. */
    readonly directory: string;
    readonly availableBytes: number;
    readonly boundMs: number;
    /** For one answer of a mirror. */
    readonly answerMs?: number;
    readonly signal: AbortSignal;
    readonly log: Log;
  },
): Promise<{ readonly prefetched: Prefetched; readonly packages: number; readonly bytes: number }> {
  const { directory, availableBytes, boundMs, signal, log, mirrors, keepers } = options;
  const prefetched: Prefetched = {
    async take({ sha256 }, file) {
      const from = join(directory, `${sha256}.deb`);
      await copyFile(from, file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      await rm(from, { force: true });
    },
  };
  const none = { prefetched, packages: 0, bytes: 0 };
  const size = packages.reduce((sum, one) => sum + one.size, 0);
  const shown = `${Math.ceil(size / mib)} MiB of packages`;
  if (!holds(availableBytes, size)) {
    log.warn(
      `${shown} come over the network after the first write: ${Math.floor(availableBytes / mib)} MiB of RAM are available, and ${Math.ceil((size + workingBytes) / mib)} would be needed to fetch them before`,
    );
    return none;
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const bound = AbortSignal.timeout(boundMs);
  try {
    const got = await log.task(`fetching ${shown} into memory`, (inner) =>
      fetchAll(packages, {
        ...{ mirrors, keepers, dir: directory, log: inner },
        signal: AbortSignal.any([signal, bound]),
      }),
    );
    log.info("every package is in memory: nothing more is needed of the network");
    return { prefetched, ...got };
  } catch (error) {
    signal.throwIfAborted();
    if (!bound.aborted) throw error;
    const answer = options.answerMs === undefined ? {} : { answerMs: options.answerMs };
    await checkAvailable(packages.slice(-asked), { mirrors, keepers, signal, log, ...answer });
    log.warn(
      `not all packages came within ${Math.round(boundMs / 1000)} s; the others come over the network after the first write`,
    );
    return none;
  }
}

/** Whether RAM holds packages of that size, and leaves room to work with. */
function holds(availableBytes: number, size: number): boolean {
  return availableBytes - size >= workingBytes;
}
