import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackage } from "../debian/fetch.ts";
import type { LockedPackage } from "../schema/lock.ts";
import type { StepContext } from "../steps/step.ts";
import { chrootRun } from "../system/chroot.ts";
import { run } from "../system/run.ts";
import type { Log } from "../util/log.ts";
import type { Secret } from "../util/secret.ts";

/** Where the new root filesystem is mounted in the base. */
export const targetRoot = "/mnt/target";
/** Packages wait on the new root filesystem, not in RAM; the directory is gone when the tree is finished. */
const packageDir = "/var/cache/imgbuild-packages";

export interface Fetched {
  packages: number;
  bytes: number;
}

/** The context in which steps run in the base: its tools are at hand, and packages come from the target's own network. */
export function baseContext(options: {
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly files: string | undefined;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly fetched: Fetched;
}): StepContext {
  const { log, signal, fetched } = options;
  const directory = join(targetRoot, packageDir);
  return {
    root: targetRoot,
    log,
    signal,
    files: options.files,
    secrets: options.secrets,
    tool: (argv, runOptions) => run(argv, { signal, ...runOptions }),
    chroot: (argv, runOptions) => chrootRun(targetRoot, argv, { signal, ...runOptions }),
    async fetch(locked: LockedPackage) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const path = await fetchPackage(locked, { mirrors: options.mirrors, dir: directory, signal });
      fetched.packages += 1;
      fetched.bytes += locked.size;
      return path;
    },
    async release(locked: LockedPackage) {
      await rm(join(directory, `${locked.sha256}.deb`), { force: true });
    },
  };
}
