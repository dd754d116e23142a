import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LockedPackage } from "../../schema/lock.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { downloadTo, OtherContent, type TransferBounds } from "./http.ts";
import { type Keepers, placesOf } from "./places.ts";
import type { Proxies } from "./proxy.ts";

interface FetchOptions {
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Asked for what no mirror has. */
  readonly keepers?: Keepers | undefined;
  /** Files are `<sha256>.deb` in here. */
  readonly dir: string;
  readonly signal?: AbortSignal;
  readonly bounds?: TransferBounds;
  readonly proxies?: Proxies;
  /** For how many files each place gave no answer. */
  readonly silent?: Map<string, number>;
  /** SHA-256 of a package by a signed index that is at hand. */
  readonly signed?: (locked: LockedPackage) => Promise<string | undefined>;
}

/** A part that a killed run left is of no use after this. */
const partMs = 24 * 3_600_000;

/** The verified .deb as an absolute path; fetched unless it is there. A file in `dir` was checked when it came. */
export async function fetchPackage(locked: LockedPackage, options: FetchOptions): Promise<string> {
  const file = join(options.dir, `${locked.sha256}.deb`);
  const there = await stat(file).catch(() => undefined);
  if (there?.size === locked.size && (await fileDigest(file)) === locked.sha256) return file;
  await mkdir(options.dir, { recursive: true });
  await downloadTo(
    placesOf(locked, options.mirrors, options.keepers),
    {
      path: locked.path,
      size: locked.size,
      sha256: locked.sha256,
      maxBytes: locked.size,
      ...(options.silent === undefined ? {} : { silent: options.silent }),
      ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
      ...(options.proxies === undefined ? {} : { proxies: options.proxies }),
    },
    file,
    options.signal,
  ).catch(async (error: unknown) => {
    throw error instanceof OtherContent ? await whoIsRight(locked, error, options) : error;
  });
  return file;
}

/** Lock and mirror contradict each other: the signed index says which of them was changed. */
async function whoIsRight(
  { name, version, sha256, ...rest }: LockedPackage,
  error: OtherContent,
  options: FetchOptions,
): Promise<Fail> {
  const signed = await options.signed?.({ name, version, sha256, ...rest });
  const about = `${error.message}: the lock says ${sha256.slice(0, 12)}… of ${name} ${version}, what came has ${error.found[0]!.slice(0, 12)}…`;
  if (signed === undefined)
    return new Fail(about, {
      hint: "`imgbuild lock --check` compares the lock with the signed indices; IMGBUILD_MIRROR names another mirror",
    });
  if (signed === sha256)
    return new Fail(`${about}; the signed index agrees with the lock, so the mirror serves another file`, {
      hint: "IMGBUILD_MIRROR names another mirror",
    });
  return new Fail(
    `${about}; the signed index ${error.found.includes(signed) ? "agrees with what came" : `says ${signed.slice(0, 12)}…`}, so the lock was changed`,
    {
      hint: `restore imgbuild.lock.yaml from version control, or run \`imgbuild lock --update\` with ${name}`,
    },
  );
}

/** Fetches all, `parallel` at a time; returns what really came over the network. */
export async function fetchAll(
  packages: readonly LockedPackage[],
  options: FetchOptions & { readonly parallel?: number; readonly log?: Log },
): Promise<{ packages: number; bytes: number }> {
  await sweep(options.dir);
  const queue = [...packages];
  const fetched = { packages: 0, bytes: 0 };
  const silent = new Map<string, number>();
  let done = 0;
  // The first failure ends the others' transfers too: nothing is written any more once this has returned.
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const before = await stat(join(options.dir, `${next.sha256}.deb`)).catch(() => undefined);
      await fetchPackage(next, { silent, ...options, signal });
      if (before === undefined) {
        fetched.packages += 1;
        fetched.bytes += next.size;
      }
      done += 1;
      options.log?.progress(done, packages.length, "packages");
    }
  };
  const careful = () =>
    worker().catch((error: unknown) => {
      failed.abort(error);
      queue.length = 0;
      throw error;
    });
  const ends = await Promise.allSettled(Array.from({ length: options.parallel ?? 6 }, careful));
  if (ends.some(({ status }) => status === "rejected")) throw signal.reason;
  return fetched;
}

async function sweep(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    if (!name.endsWith(".part")) continue;
    const found = await stat(join(dir, name)).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > partMs)
      await rm(join(dir, name), { force: true });
  }
}
