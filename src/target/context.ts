import { join } from "node:path";
import { fetchAll } from "../debian/http/fetch.ts";
import type { Keepers } from "../debian/http/places.ts";
import { thisMachine } from "../disks/find-disk.ts";
import type { LockedPackage } from "../schema/lock.ts";
import { targetRoot } from "../schema/plan.ts";
import type { StepContext } from "../steps/step/step.ts";
import { treeRun } from "../system/door/chroot.ts";
import { filterRun } from "../system/run/filter.ts";
import { run } from "../system/run/run.ts";
import { Tree } from "../tree/tree.ts";
import type { Log } from "../util/log.ts";
import type { Secret } from "../util/secret.ts";
import type { Prefetched } from "./prefetch.ts";

/** Packages wait on the new root filesystem, not in RAM; the directory is gone when the tree is finished. */
const packageDir = "/var/cache/imgbuild-packages";

export interface Fetched {
  packages: number;
  bytes: number;
}

/** The context in which steps run in the base: its tools are at hand, and packages come from the target's own network. */
export function baseContext(options: {
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly keepers?: Keepers | undefined;
  readonly files: string | undefined;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly fetched: Fetched;
  /** Undefined for a tree that gets the mark of its deploy later. */
  readonly nonce: string | undefined;
  /** Those that are in RAM already are not fetched again. */
  readonly prefetched?: Prefetched | undefined;
}): StepContext {
  const { log, signal, fetched } = options;
  const tree = new Tree(targetRoot);
  const directory = () => {
    // Before the disks are written the tree is a directory in memory.
    Tree.make(targetRoot);
    tree.makeDirectories(packageDir, 0o700);
    return tree.directory(packageDir);
  };
  return {
    root: targetRoot,
    log,
    signal,
    machine: thisMachine,
    began: Date.now() / 1000,
    files: options.files,
    secrets: options.secrets,
    nonce: options.nonce,
    tool: (argv, runOptions) => run(argv, { signal, ...runOptions }),
    filter: filterRun,
    chroot: (argv, runOptions) => treeRun(targetRoot, "/", argv, { signal, ...runOptions }),
    async fetch(wanted, inner) {
      for (const locked of wanted)
        await options.prefetched?.take(locked, join(directory(), `${locked.sha256}.deb`));
      const got = await fetchAll(wanted, {
        mirrors: options.mirrors,
        keepers: options.keepers,
        dir: directory(),
        signal,
        log: inner,
      });
      fetched.packages += got.packages;
      fetched.bytes += got.bytes;
    },
    packagePath: ({ sha256 }) => ({
      outside: join(directory(), `${sha256}.deb`),
      inside: join(packageDir, `${sha256}.deb`),
    }),
    async release(done: readonly LockedPackage[]) {
      for (const { sha256 } of done) tree.remove(join(packageDir, `${sha256}.deb`));
    },
  };
}
