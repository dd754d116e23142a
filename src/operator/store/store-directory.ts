import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { storeIndexName } from "../../debian/http/places.ts";
import { claim } from "../../system/files/file-lock.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { Fail } from "../../util/fail.ts";
import { type KeptPackage, readIndex, type StoreIndex, signedIndex } from "./store-index.ts";
import type { StoreKey } from "./store-key.ts";

/** Another run that fills the same store. */
const lockMs = 600_000;
const pauseMs = 500;
/** Where packages are in a store. */
export const packagesName = "packages";

/** What is in a store's directory. */
interface StoreFiles {
  readonly index: StoreIndex | undefined;
  /** Names in `packages/`. */
  readonly names: ReadonlySet<string>;
}

/** Does work on a store that no other run may do at the same time; the directory is made. */
export async function withStore<T>(dir: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const packages = join(dir, packagesName);
  await mkdir(packages, { recursive: true });
  const end = Date.now() + lockMs;
  for (;;) {
    const lock = await claim(packages);
    if (typeof lock === "object") {
      try {
        return await work();
      } finally {
        lock.release();
      }
    }
    if (Date.now() > end)
      throw new Fail(`${dir} has been in use for ${lockMs / 60_000} minutes`, {
        hint: "is another run filling it? try again",
      });
    await sleep(pauseMs, undefined, { signal });
  }
}

/** Looks into a store; an index of another key is refused. */
export async function lookInto(dir: string, publicKey: string): Promise<StoreFiles> {
  const file = join(dir, storeIndexName);
  const names = new Set(await readdir(join(dir, packagesName)).catch(() => []));
  if (!existsSync(file)) return { index: undefined, names };
  return { index: readIndex(await readFile(file), publicKey, file), names };
}

export async function writeIndex(
  dir: string,
  packages: readonly KeptPackage[],
  key: StoreKey,
): Promise<void> {
  await writeWhole(join(dir, storeIndexName), signedIndex(packages, key, new Date()), 0o644);
}
