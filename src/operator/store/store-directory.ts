import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { storeIndexName, storePath } from "../../debian/http/places.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { claim } from "../../system/files/file-lock.ts";
import { linkWhole } from "../../system/files/link-whole.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { Fail } from "../../util/fail.ts";
import { readIndex, signedIndex } from "./store-index.ts";
import type { Sized, StorePlace } from "./store-place.ts";

/** Another run that fills the same store. */
const lockMs = 600_000;
const pauseMs = 500;
/** Where packages are in a store. */
const packagesName = "packages";

/** A store whose files are in a directory of this machine, for a web server to serve. */
export function storeInDirectory(dir: string, signal: AbortSignal): StorePlace {
  const index = join(dir, storeIndexName);
  const packages = join(dir, packagesName);
  const fileOf = (one: Sized) => join(dir, storePath(one));
  return {
    name: dir,
    parallel: 1,
    mend: `delete these files, then \`imgbuild store add DEF --store ${dir}\` fetches them again`,
    index: async (publicKey) =>
      existsSync(index) ? readIndex(await readFile(index), publicKey, index) : undefined,
    // What the index does not name may be half of what an interrupted run wrote.
    has: async (one, listed) =>
      (await sizeOf(fileOf(one))) === one.size && (listed || (await fileDigest(fileOf(one))) === one.sha256),
    put: async (one, file) => await linkWhole(file, fileOf(one)),
    writeIndex: async (kept, key) => await writeWhole(index, signedIndex(kept, key, new Date()), 0o644),
    problemOf: async (one) => {
      const size = await sizeOf(fileOf(one));
      if (size === undefined) return "is missing";
      if (size !== one.size) return `has ${size} bytes instead of ${one.size}`;
      return (await fileDigest(fileOf(one))) === one.sha256 ? undefined : "has another SHA-256";
    },
    others: async (staying) => {
      const files = new Set(staying.map(({ sha256 }) => `${sha256}.deb`));
      const names = (await readdir(packages).catch(() => [])).filter((name) => !files.has(name));
      const sized = await Promise.all(
        names.map(async (name) => ({ name, size: await sizeOf(join(packages, name)) })),
      );
      return sized.flatMap(({ name, size }) => (size === undefined ? [] : [{ name, size }]));
    },
    remove: async (others) => {
      for (const { name } of others) await rm(join(packages, name), { force: true });
    },
    alone: async (work) => await alone(packages, signal, work),
  };
}

/** The directory is made. */
async function alone<T>(dir: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await mkdir(dir, { recursive: true });
  const end = Date.now() + lockMs;
  for (;;) {
    const lock = await claim(dir);
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

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size;
}
