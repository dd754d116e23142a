import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fetchAll } from "../../debian/http/fetch.ts";
import type { Keepers } from "../../debian/http/places.ts";
import type { Proxies } from "../../debian/http/proxy.ts";
import { signedDigest } from "../../debian/lock/compare-lock.ts";
import { thisMachine } from "../../disks/find-disk.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { type Bind, toolFilter, toolRun, treeRun } from "../../system/door/chroot.ts";
import { processBound } from "../../system/door/process-bound.ts";
import { hold } from "../../system/files/file-lock.ts";
import { filterRun } from "../../system/run/filter.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";

/** Where programs in the tree see the packages. */
const packagesInside = "/run/imgbuild/packages";
/** The context in which steps run on the operator's machine: tools come from the base's tree, packages from the cache. */
export function nativeContext(options: {
  readonly root: string;
  /** Directory that holds everything a tool may read or write; root included. */
  readonly work: string;
  /** Another one. */
  readonly more?: string;
  /** The base's tree; left out while the base itself is made. */
  readonly baseTree?: string;
  /** Files of the base as it is shipped, by name. */
  readonly base?: StepContext["base"];
  readonly cache: string;
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  readonly keepers?: Keepers | undefined;
  readonly proxies?: Proxies;
  readonly files: string | undefined;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly log: Log;
  readonly signal: AbortSignal;
}): StepContext {
  const { root, work, baseTree, log, signal } = options;
  const packages = join(options.cache, "packages");
  const { mirrors, keepers, proxies = {} } = options;
  const signed = (locked: LockedPackage) => signedDigest(options.cache, locked);
  const fetching = { mirrors, keepers, proxies, dir: packages, signal, signed };
  const places = [work, ...(options.more === undefined ? [] : [options.more])].map((path) => ({
    from: path,
    to: path,
  }));
  if (baseTree !== undefined && processBound() === "none")
    log.warn(
      "no control group counts processes here: a script may start as many as it likes until its time is up",
    );
  const binds: Bind[] = [{ from: packages, to: packagesInside, readOnly: true }];
  return {
    root,
    log,
    signal,
    machine: thisMachine,
    began: Date.now() / 1000,
    files: options.files,
    secrets: options.secrets,
    nonce: undefined,
    base: options.base,
    tool: async (argv, runOptions) => {
      if (baseTree === undefined) throw new Fail(`${argv[0]} is a tool of the base, which is being made`);
      return await toolRun(baseTree, argv, { signal, ...runOptions, binds: places });
    },
    // The first base is made with this machine's own.
    filter: (argv, io) => (baseTree === undefined ? filterRun(argv, io) : toolFilter(baseTree, argv, io)),
    // A script of the definition sees what it declares, not our packages.
    chroot: (argv, runOptions) =>
      treeRun(root, baseTree, argv, {
        ...{ signal, ...runOptions },
        binds: [...(runOptions?.bare ? [] : binds), ...(runOptions?.binds ?? [])],
      }),
    fetch: async (wanted, inner) => {
      // Until the end of this process: they are read long after they have come.
      await mkdir(packages, { recursive: true });
      await hold(packages);
      await fetchAll(wanted, { ...fetching, log: inner });
    },
    packagePath: ({ sha256 }) => ({
      outside: join(packages, `${sha256}.deb`),
      inside: `${packagesInside}/${sha256}.deb`,
    }),
    release: async () => {},
  };
}
