import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { peDigest, readPe } from "../../boot/efi/pe.ts";
import { sbatLevelOf, sbatOf } from "../../boot/efi/sbat.ts";
import { signedBy } from "../../boot/efi/signed-by.ts";
import { debianLoaders } from "../../boot/efi-files.ts";
import { fetchPackage } from "../../debian/http/fetch.ts";
import type { Keepers } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { readArchives } from "../../debian/package/archives.ts";
import { membersOfDeb } from "../../debian/package/deb.ts";
import type { Lock, LockedPackage } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { hold } from "../../system/files/file-lock.ts";
import { filterRun } from "../../system/run/filter.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { asFail, Fail } from "../../util/fail.ts";

/** Two packages of about a MiB each. */
const fetchMs = 60_000;
const unpackMs = 60_000;
/** shim and GRUB have about a MiB and three. */
const maxProgramBytes = 16 * 2 ** 20;

/** What firmware and shim look at of a program that is to be started. */
interface Loader {
  /** "shim-signed 1.44". */
  readonly from: string;
  /** Authorities of which one has to be trusted. */
  readonly signedBy: readonly string[];
  /** Its SHA-256, as firmware counts it. */
  readonly digest: string;
  /** SBAT: names of its parts → generations. */
  readonly generations: ReadonlyMap<string, number>;
}

/** What a system starts by that Debian and Microsoft have signed. */
export interface Loaders {
  readonly shim: Loader;
  /** Generations that this shim asks for. */
  readonly asks: ReadonlyMap<string, number>;
  /** What shim starts. */
  readonly next: Loader;
}

/** Reads them of the locked packages, which are fetched into the cache; undefined where others sign, or none. */
export async function loadersOf(
  { spec, lock }: { readonly spec: Pick<Spec, "boot">; readonly lock: Pick<Lock, "packages"> },
  options: Pick<Surroundings, "cache" | "env" | "signal"> & {
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
    readonly keepers?: Keepers | undefined;
  },
): Promise<Loaders | { readonly problem: string } | undefined> {
  const { boot } = spec;
  if (boot?.secureBoot !== "debian") return undefined;
  const { packages } = onlyArchitecture;
  const [name, path] =
    boot.loader === "grub"
      ? [packages.grubEfiSigned, debianLoaders.grub]
      : [packages.systemdBootSigned, `${debianLoaders.systemdBoot}.signed`];
  const read = async (of: string, file: string) => {
    const locked = lock.packages.find((one) => one.name === of);
    if (locked === undefined) throw new Fail(`the lock has no ${of}`);
    const pe = readPe(await fileOf(locked, file, options), `${file} of ${of}`);
    return { locked, pe };
  };
  try {
    const [shim, next] = [await read("shim-signed", debianLoaders.shim), await read(name, path)];
    return { shim: loaderOf(shim), asks: sbatLevelOf(shim.pe), next: loaderOf(next) };
  } catch (error) {
    options.signal.throwIfAborted();
    const fail = asFail(error);
    if (fail === undefined) throw error;
    return { problem: fail.message };
  }
}

function loaderOf({
  locked: { name, version },
  pe,
}: {
  readonly locked: LockedPackage;
  readonly pe: ReturnType<typeof readPe>;
}): Loader {
  return {
    from: `${name} ${version}`,
    signedBy: signedBy(pe),
    digest: peDigest(pe).toString("hex"),
    generations: sbatOf(pe),
  };
}

/** A file of a package. */
async function fileOf(
  locked: LockedPackage,
  path: string,
  { cache, env, signal, mirrors, keepers }: Parameters<typeof loadersOf>[1],
): Promise<Uint8Array> {
  const dir = join(cache, "packages");
  await mkdir(dir, { recursive: true });
  await hold(dir);
  const file = await fetchPackage(locked, {
    ...{ mirrors, keepers, dir, proxies: proxiesOf(env) },
    signal: AbortSignal.any([signal, AbortSignal.timeout(fetchMs)]),
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  const content = {
    write: (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > maxProgramBytes)
        throw new Fail(`${path} of ${locked.name} has more than ${maxProgramBytes} bytes`);
      pieces.push(Buffer.from(piece));
    },
    close: () => {},
  };
  await readArchives([{ of: locked, file, member: (await membersOfDeb(file)).data }], {
    lanes: 1,
    filter: (argv, io) => filterRun(argv, { ...io, timeoutMs: unpackMs, signal }),
    open: () => ({
      member: ({ name, type }) => (type === "file" && name.replace(/^\./, "") === path ? content : undefined),
      end: () => {},
    }),
  });
  if (bytes === 0) throw new Fail(`${locked.name} has no ${path}`);
  return Buffer.concat(pieces);
}
