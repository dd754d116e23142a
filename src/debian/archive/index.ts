import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { LockedIndex } from "../../schema/lock.ts";
import { installHint } from "../../tables/distribution.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { download } from "../http/http.ts";
import type { Origin } from "../package/candidate.ts";
import { PackageTable } from "../package/package-table.ts";
import { tableVersion, tabulate } from "../package/packages-file.ts";
import { keepFile } from "./keep-file.ts";
import type { Release } from "./release.ts";
import { type ArchiveOptions, readReleaseFile, transferOf } from "./release-file.ts";
import type { Source } from "./sources.ts";

/** Unpacked size of one Packages file; trixie's main has 60 MB. */
const maxPackagesBytes = 512 * 1024 * 1024;
const unpackMs = 120_000;

export interface ArchiveIndex {
  readonly indices: readonly LockedIndex[];
  readonly tables: readonly PackageTable[];
  /** The files as they were signed, in the cache, by archive, suite and path below dists/<suite>. */
  readonly files: readonly SignedFile[];
}

export interface SignedFile {
  readonly archive: string;
  readonly suite: string;
  readonly name: string;
  readonly file: string;
}

/** Reads the signed indices of suites. */
export async function loadIndex(
  sources: readonly Source[],
  architecture: string,
  options: ArchiveOptions,
): Promise<ArchiveIndex> {
  // The first failure ends the others' transfers too: nothing is written any more once this has returned.
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const reading = sources.map((one) =>
    readSuite(one, architecture, { ...options, signal }).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(reading);
  if (failed.signal.aborted) throw failed.signal.reason;
  const read = await Promise.all(reading);
  return {
    indices: read.map((suite) => suite.index),
    tables: read.flatMap((suite) => suite.tables),
    files: read.flatMap((suite) => suite.files),
  };
}

async function readSuite(
  source: Source,
  architecture: string,
  options: ArchiveOptions,
): Promise<{ index: LockedIndex; tables: PackageTable[]; files: SignedFile[] }> {
  const { archive, suite, components } = source;
  const { release, digest, files: signed } = await readReleaseFile(source, options);
  const origin = { ...release.about, archive, suite };
  const files = signed.map((file) => ({ archive, suite, ...file }));
  const tables: PackageTable[] = [];
  for (const component of components) {
    const base = `${component}/binary-${architecture}/Packages`;
    const name = [`${base}.xz`, `${base}.gz`].find((path) => release.files.has(path));
    if (name === undefined) throw new Fail(`${suite} has no index of ${component} for ${architecture}`);
    tables.push(await readPackages(origin, name, release, architecture, options));
    files.push({
      archive,
      suite,
      name,
      file: packedPath(options.cache, name, release.files.get(name)!.sha256),
    });
  }
  const { date, codename, signedBy } = release;
  return {
    index: { archive, suite, codename, date, inRelease: digest, signedBy: [...signedBy] },
    tables,
    files,
  };
}

/** The table of one Packages file; the file itself, as it was signed, stays in the cache beside it. */
async function readPackages(
  origin: Origin,
  name: string,
  release: Release,
  architecture: string,
  options: ArchiveOptions,
): Promise<PackageTable> {
  const packed = release.files.get(name)!;
  const directory = join(options.cache, "index");
  const cached = join(directory, `${packed.sha256}.${architecture}.v${tableVersion}.txt`);
  const known = await readTable(cached, origin);
  if (known !== undefined && existsSync(packedPath(options.cache, name, packed.sha256))) return known;
  const bytes = await readPacked(origin, name, packed, options);
  const plain = release.files.get(name.replace(/\.[a-z]+$/, ""));
  const text = await unpack(name, bytes);
  if (plain !== undefined && sha256(text) !== plain.sha256)
    throw new Fail(`${origin.suite}/${name} does not unpack to what was signed`);
  const table = tabulate(text.toString("utf8"), architecture);
  await keepFile(packedPath(options.cache, name, packed.sha256), bytes);
  await keepFile(cached, table);
  return new PackageTable(table, origin);
}

/** Where the cache keeps an index as it was signed. */
function packedPath(cache: string, name: string, digest: string): string {
  return join(cache, "index", `${digest}${/\.[a-z]+$/.exec(name)?.[0] ?? ""}`);
}

async function readPacked(
  { archive, suite }: Origin,
  name: string,
  packed: { size: number; sha256: string },
  options: ArchiveOptions,
): Promise<Buffer> {
  const kept = await readFile(packedPath(options.cache, name, packed.sha256)).catch(() => undefined);
  if (kept !== undefined && sha256(kept) === packed.sha256) return kept;
  const byHash = `dists/${suite}/${name.replace(/[^/]*$/, "")}by-hash/SHA256/${packed.sha256}`;
  const what = { maxBytes: packed.size, size: packed.size, sha256: packed.sha256, ...transferOf(options) };
  const mirrors = options.mirrors[archive] ?? [];
  if (options.offline)
    throw new Fail(`the cache holds no index of ${suite}`, { hint: "run it once without --offline" });
  return await download(mirrors, { path: byHash, ...what }, options.signal).catch((error: unknown) => {
    if (!(error instanceof Fail)) throw error;
    return download(mirrors, { path: `dists/${suite}/${name}`, ...what }, options.signal);
  });
}

/** A table that a full disk or a crash left damaged counts as absent. */
async function readTable(file: string, origin: Origin): Promise<PackageTable | undefined> {
  try {
    return new PackageTable(await readFile(file, "latin1"), origin);
  } catch {
    return undefined;
  }
}

async function unpack(name: string, bytes: Buffer): Promise<Buffer> {
  if (name.endsWith(".gz"))
    return await promisify(gunzip)(bytes, { maxOutputLength: maxPackagesBytes }).catch((error: Error) => {
      throw new Fail(`${name} could not be unpacked: ${error.message}`);
    });
  return await new Promise((resolve, reject) => {
    const child = execFile(
      "xz",
      ["--decompress", "--stdout", "--no-warn"],
      { encoding: "buffer", maxBuffer: maxPackagesBytes, timeout: unpackMs },
      (error, stdout) => {
        if (error === null) return resolve(stdout);
        const hint = { hint: installHint("xz-utils") };
        reject(
          new Fail(
            `xz could not unpack ${name}: ${error.message.slice(0, 200)}`,
            (error as NodeJS.ErrnoException).code === "ENOENT" ? hint : {},
          ),
        );
      },
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(bytes);
  });
}
