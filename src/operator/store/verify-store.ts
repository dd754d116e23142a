import { storePath } from "../../debian/http/places.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { Fail } from "../../util/fail.ts";
import { storeAt } from "./store-at.ts";
import type { StoreIndex } from "./store-index.ts";
import { requireIndex, withEach } from "./store-place.ts";

/** Damaged packages named at once. */
const shown = 6;

interface Verified {
  readonly index: StoreIndex;
  readonly bytes: number;
  /** Names of files that the index does not have, as an interrupted run leaves them. */
  readonly unlisted: readonly string[];
}

/** Reads all of a store: the index by its signature, and each package by size and SHA-256. What is missing or damaged is refused. */
export async function verifyStore(
  where: string,
  publicKey: string,
  options: Pick<Surroundings, "env" | "log" | "signal">,
): Promise<Verified> {
  const store = storeAt(where, options);
  const index = await requireIndex(store, publicKey);
  const problems: string[] = [];
  let done = 0;
  await withEach(index.packages, store.parallel, async (one) => {
    options.signal.throwIfAborted();
    const problem = await store.problemOf(one);
    if (problem !== undefined) problems.push(`${one.name} ${one.version} (${storePath(one)}) ${problem}`);
    done += 1;
    options.log.progress(done, index.packages.length, "packages");
  });
  if (problems.length > 0) {
    const more = problems.length - shown;
    const lines = [...problems.slice(0, shown), ...(more > 0 ? [`and ${more} more`] : [])];
    throw new Fail(`${store.name} is damaged:\n${lines.join("\n")}`, { hint: store.mend });
  }
  const others = await store.others(index.packages, index);
  return {
    index,
    bytes: index.packages.reduce((sum, { size }) => sum + size, 0),
    unlisted: others.map(({ name }) => name),
  };
}
