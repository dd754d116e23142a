import { Fail } from "../../util/fail.ts";
import type { KeptPackage, StoreIndex } from "./store-index.ts";
import type { StoreKey } from "./store-key.ts";

/** What a store keeps under its SHA-256. */
export type Sized = Pick<KeptPackage, "size" | "sha256">;

/** Where a store is kept: a directory, or a repository of a registry. */
export interface StorePlace {
  /** As `--store` names it. */
  readonly name: string;
  /** How many packages are looked at or put at a time. */
  readonly parallel: number;
  /** What to do where packages in it are damaged. */
  readonly mend: string;
  /** Undefined where there is no store yet; one of another key is refused. */
  index(publicKey: string): Promise<StoreIndex | undefined>;
  /** `listed`: the index names it, so it was looked at when it came. */
  has(one: Sized, listed: boolean): Promise<boolean>;
  put(one: Sized, file: string): Promise<void>;
  writeIndex(packages: readonly KeptPackage[], key: StoreKey): Promise<void>;
  /** Reads it to its end. */
  problemOf(one: Sized): Promise<string | undefined>;
  /** What is in it that is not among these, with its size. */
  others(staying: readonly Sized[], index: StoreIndex): Promise<readonly Other[]>;
  remove(others: readonly Other[]): Promise<void>;
  /** Does work that no other run here may do at the same time. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

interface Other {
  readonly name: string;
  readonly size: number;
}

/** Of a store that is there. */
export async function requireIndex(store: StorePlace, publicKey: string): Promise<StoreIndex> {
  const index = await store.index(publicKey);
  if (index !== undefined) return index;
  throw new Fail(`${store.name} has no index, so it is no store`, {
    hint: `imgbuild store add DEF --store ${store.name}`,
  });
}

/** Does the same with all, some at a time; the first failure ends it. */
export async function withEach<T>(
  all: readonly T[],
  parallel: number,
  work: (one: T) => Promise<void>,
): Promise<void> {
  const queue = [...all];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  const careful = () =>
    worker().catch((error: unknown) => {
      queue.length = 0;
      throw error;
    });
  const ends = await Promise.allSettled(Array.from({ length: parallel }, careful));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
