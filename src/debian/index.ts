import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { LockedIndex } from "../schema/lock.ts";
import { sha256 } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Origin } from "./candidate.ts";
import { download, type TransferBounds } from "./http.ts";
import type { Mirrors } from "./mirrors.ts";
import { PackageTable } from "./package-table.ts";
import { tableVersion, tabulate } from "./packages-file.ts";
import { type Release, verifyRelease } from "./release.ts";
import type { Source } from "./sources.ts";

/** Unpacked size of one Packages file; trixie's main has 60 MB. */
const maxPackagesBytes = 512 * 1024 * 1024;

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

export interface IndexOptions {
  readonly cache: string;
  readonly mirrors: Mirrors;
  readonly now: Date;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly bounds?: TransferBounds;
}

/** Reads the signed indices of suites. */
export async function loadIndex(
  sources: readonly Source[],
  architecture: string,
  options: IndexOptions,
): Promise<ArchiveIndex> {
  const read = await Promise.all(sources.map((one) => readSuite(one, architecture, options)));
  return {
    indices: read.map((one) => one.index),
    tables: read.flatMap((one) => one.tables),
    files: read.flatMap((one) => one.files),
  };
}

async function readSuite(
  source: Source,
  architecture: string,
  options: IndexOptions,
): Promise<{ index: LockedIndex; tables: PackageTable[]; files: SignedFile[] }> {
  const { archive, suite, components } = source;
  const { inRelease, release } = await readVerified(source, options);
  const origin = { ...release.about, archive, suite };
  const signed = join(options.cache, "index", `${archive}_${suite}_InRelease`);
  await keep(signed, inRelease);
  const files = [{ archive, suite, name: "InRelease", file: signed }];
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
    index: { archive, suite, codename, date, inRelease: sha256(inRelease), signedBy: [...signedBy] },
    tables,
    files,
  };
}

/** The InRelease of the first mirror whose one verifies: a login page or an old copy must not hide the next mirror. */
async function readVerified(
  { archive, suite, keyring }: Source,
  options: IndexOptions,
): Promise<{ inRelease: Buffer; release: Release }> {
  const what = { path: `dists/${suite}/InRelease`, maxBytes: 4 * 1024 * 1024, ...boundsOf(options) };
  const mirrors = options.mirrors[archive] ?? [];
  let first: Fail | undefined;
  for (const mirror of mirrors) {
    try {
      const inRelease = await download([mirror], what, options.signal);
      const release = await verifyRelease(inRelease, { codename: suite, suite, keyring, now: options.now });
      return { inRelease, release };
    } catch (error) {
      if (!(error instanceof Fail) || options.signal?.aborted) throw error;
      if (mirrors.length > 1) options.log.warn(`${mirror}: ${error.message}`);
      first ??= error;
    }
  }
  throw first ?? new Fail(`no mirror of ${archive} is known`, { hint: "name one by IMGBUILD_MIRROR" });
}

/** The table of one Packages file; the file itself, as it was signed, stays in the cache beside it. */
async function readPackages(
  origin: Origin,
  name: string,
  release: Release,
  architecture: string,
  options: IndexOptions,
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
  await keep(packedPath(options.cache, name, packed.sha256), bytes);
  await keep(cached, table);
  return new PackageTable(table, origin);
}

/** Where the cache keeps an index as it was signed. */
export function packedPath(cache: string, name: string, digest: string): string {
  return join(cache, "index", `${digest}${/\.[a-z]+$/.exec(name)?.[0] ?? ""}`);
}

async function readPacked(
  { archive, suite }: Origin,
  name: string,
  packed: { size: number; sha256: string },
  options: IndexOptions,
): Promise<Buffer> {
  const kept = await readFile(packedPath(options.cache, name, packed.sha256)).catch(() => undefined);
  if (kept !== undefined && sha256(kept) === packed.sha256) return kept;
  const byHash = `dists/${suite}/${name.replace(/[^/]*$/, "")}by-hash/SHA256/${packed.sha256}`;
  const what = { maxBytes: packed.size, size: packed.size, sha256: packed.sha256, ...boundsOf(options) };
  const mirrors = options.mirrors[archive] ?? [];
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

async function keep(file: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(part, content);
    await rename(part, file);
  } finally {
    await rm(part, { force: true });
  }
}

function boundsOf({ bounds }: IndexOptions): { bounds?: TransferBounds } {
  return bounds === undefined ? {} : { bounds };
}

async function unpack(name: string, bytes: Buffer): Promise<Buffer> {
  if (name.endsWith(".gz")) return await promisify(gunzip)(bytes, { maxOutputLength: maxPackagesBytes });
  return await new Promise((resolve, reject) => {
    const child = execFile(
      "xz",
      ["--decompress", "--stdout", "--no-warn"],
      { encoding: "buffer", maxBuffer: maxPackagesBytes, timeout: 120_000 },
      (error, stdout) => {
        if (error === null) resolve(stdout);
        else
          reject(
            new Fail(`xz could not unpack ${name}: ${error.message}`, { hint: "apt-get install xz-utils" }),
          );
      },
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(bytes);
  });
}
