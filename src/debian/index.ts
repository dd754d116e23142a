import { execFile } from "node:child_process";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Archive, LockedIndex } from "../schema/lock.ts";
import { sha256 } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import { download, type TransferBounds } from "./http.ts";
import type { Mirrors } from "./mirrors.ts";
import { debianKeyring, type Release, verifyRelease } from "./release.ts";

/** Unpacked size of one Packages file; trixie's main has 60 MB. */
const maxPackagesBytes = 512 * 1024 * 1024;
/** A parsed index in the cache is of no use to a parser that reads more. */
const parserVersion = 2;

/** What the resolver needs of one version of one package. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly architecture: "amd64" | "all";
  readonly archive: Archive;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly essential: boolean;
  readonly priority: string;
  readonly depends: string;
  readonly preDepends: string;
  readonly recommends: string;
  readonly conflicts: string;
  readonly breaks: string;
  readonly provides: string;
}

export interface ArchiveIndex {
  readonly indices: readonly LockedIndex[];
  readonly candidates: readonly Candidate[];
}

export interface IndexOptions {
  readonly cache: string;
  readonly mirrors: Mirrors;
  readonly now: Date;
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Armored keys trusted instead of Debian's, for an archive of one's own. */
  readonly keyring?: string;
  readonly bounds?: TransferBounds;
}

/** Reads the signed indices of a suite with its updates and security suites. */
export async function loadIndex(
  system: { readonly suite: string; readonly architecture: string; readonly components: readonly string[] },
  options: IndexOptions,
): Promise<ArchiveIndex> {
  const keyring = options.keyring ?? (await debianKeyring(system.suite));
  const suites: { archive: Archive; suite: string }[] = [
    { archive: "debian", suite: system.suite },
    { archive: "debian", suite: `${system.suite}-updates` },
    { archive: "debian-security", suite: `${system.suite}-security` },
  ];
  const read = await Promise.all(suites.map((one) => readSuite(one, system, keyring, options)));
  return { indices: read.map((one) => one.index), candidates: read.flatMap((one) => one.candidates) };
}

async function readSuite(
  { archive, suite }: { archive: Archive; suite: string },
  system: { readonly architecture: string; readonly components: readonly string[] },
  keyring: string,
  options: IndexOptions,
): Promise<{ index: LockedIndex; candidates: Candidate[] }> {
  const { inRelease, release } = await readVerified(archive, suite, keyring, options);
  const candidates: Candidate[] = [];
  for (const component of system.components) {
    const base = `${component}/binary-${system.architecture}/Packages`;
    const name = [`${base}.xz`, `${base}.gz`].find((path) => release.files.has(path));
    if (name === undefined)
      throw new Fail(`${suite} has no index of ${component} for ${system.architecture}`);
    candidates.push(
      ...(await readPackages(
        archive,
        suite,
        name,
        release.files.get(name)!,
        release.files.get(base),
        options,
      )),
    );
  }
  const { date, codename, signedBy } = release;
  return {
    index: { archive, suite, codename, date, inRelease: sha256(inRelease), signedBy: [...signedBy] },
    candidates,
  };
}

/** The InRelease of the first mirror whose one verifies: a login page or an old copy must not hide the next mirror. */
async function readVerified(
  archive: Archive,
  suite: string,
  keyring: string,
  options: IndexOptions,
): Promise<{ inRelease: Buffer; release: Release }> {
  const what = { path: `dists/${suite}/InRelease`, maxBytes: 4 * 1024 * 1024, ...boundsOf(options) };
  const mirrors = options.mirrors[archive];
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

async function readPackages(
  archive: Archive,
  suite: string,
  name: string,
  packed: { size: number; sha256: string },
  plain: { size: number; sha256: string } | undefined,
  options: IndexOptions,
): Promise<Candidate[]> {
  const directory = join(options.cache, "index");
  const cached = join(directory, `${packed.sha256}.v${parserVersion}.json`);
  const found = await readFile(cached, "utf8").catch(() => undefined);
  const known = found === undefined ? undefined : parseCached(found);
  if (known !== undefined) return known;
  const byHash = `dists/${suite}/${name.replace(/[^/]*$/, "")}by-hash/SHA256/${packed.sha256}`;
  const what = { maxBytes: packed.size, size: packed.size, sha256: packed.sha256, ...boundsOf(options) };
  const bytes = await download(options.mirrors[archive], { path: byHash, ...what }, options.signal).catch(
    (error: unknown) => {
      if (!(error instanceof Fail)) throw error;
      return download(options.mirrors[archive], { path: `dists/${suite}/${name}`, ...what }, options.signal);
    },
  );
  const text = await unpack(name, bytes);
  if (plain !== undefined && sha256(text) !== plain.sha256)
    throw new Fail(`${suite}/${name} does not unpack to what was signed`);
  const candidates = parsePackages(text.toString("utf8"), archive);
  await mkdir(directory, { recursive: true });
  const part = `${cached}.${process.pid}.tmp`;
  try {
    await writeFile(part, JSON.stringify(candidates));
    await rename(part, cached);
  } finally {
    await rm(part, { force: true });
  }
  return candidates;
}

function boundsOf({ bounds }: IndexOptions): { bounds?: TransferBounds } {
  return bounds === undefined ? {} : { bounds };
}

/** A file that a full disk or a crash left damaged counts as absent. */
function parseCached(text: string): Candidate[] | undefined {
  try {
    return JSON.parse(text) as Candidate[];
  } catch {
    return undefined;
  }
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

/** Reads the stanzas of a Packages file; one without what a fetch needs is refused. */
export function parsePackages(text: string, archive: Archive): Candidate[] {
  const candidates: Candidate[] = [];
  for (const stanza of text.split("\n\n")) {
    if (stanza.trim() === "") continue;
    const fields = new Map<string, string>();
    // A field may be folded: its next line begins with a space (deb-control(5)).
    for (const line of stanza.replaceAll(/\n[ \t]/g, " ").split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const get = (name: string) => fields.get(name) ?? "";
    const architecture = get("Architecture");
    if (architecture !== "amd64" && architecture !== "all") continue;
    const needed = ["Package", "Version", "Filename"].every((name) => get(name) !== "");
    if (!needed || !/^[1-9][0-9]*$/.test(get("Size")) || !/^[0-9a-f]{64}$/.test(get("SHA256")))
      throw new Fail(
        `the package index has an entry without name, version, file, size or SHA-256: ${stanza.slice(0, 80)}`,
      );
    candidates.push({
      name: get("Package"),
      version: get("Version"),
      architecture,
      archive,
      path: get("Filename"),
      size: Number(get("Size")),
      sha256: get("SHA256"),
      essential: get("Essential") === "yes",
      priority: get("Priority"),
      depends: get("Depends"),
      preDepends: get("Pre-Depends"),
      recommends: get("Recommends"),
      conflicts: get("Conflicts"),
      breaks: get("Breaks"),
      provides: get("Provides"),
    });
  }
  return candidates;
}
