import { createHash } from "node:crypto";
import { closeSync, fchmodSync, fchownSync, futimesSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { LockedPackage } from "../../schema/lock.ts";
import { Fail } from "../../util/fail.ts";
import { type Archive, type Filter, readArchives } from "../package/archives.ts";
import { membersOfDeb } from "../package/deb.ts";
import type { TarContent, TarMember, TarSink } from "../package/tar-reader.ts";

/** Of all control files of a package; a package's own limit is far below. */
const maxControlBytes = 16 * 1024 * 1024;

/** Of one package; the largest of Debian's have a fifth of it. */
const maxEntries = 500_000;

/** A file that dpkg keeps of a package: its fields, scripts, lists. */
export interface ControlFile {
  readonly bytes: Buffer;
  readonly mode: number;
}

export interface StagedEntry extends Omit<TarMember, "name" | "size"> {
  /** As dpkg names it: "/usr/bin/x", and "/." for the root. */
  readonly path: string;
  /** Where a file's bytes wait. */
  readonly staged?: string;
  md5?: string;
}

/** A package whose files are unpacked beside the tree: nothing of it is in its place yet, and no script has run. */
export interface StagedPackage {
  readonly locked: LockedPackage;
  readonly control: ReadonlyMap<string, ControlFile>;
  /** In the order in which dpkg places them. */
  readonly entries: readonly StagedEntry[];
}

/** Where packages are read from, and by which program. */
interface DebReading {
  readonly filter: Filter;
  readonly pathOf: (locked: LockedPackage) => string;
}

interface StageOptions extends DebReading {
  /** An existing directory on the filesystem of the tree. */
  readonly directory: string;
  readonly lanes: number;
  /** A package's files are all there. */
  readonly onStaged?: (locked: LockedPackage) => void;
}

/** Unpacks packages, several at a time, into a directory beside the tree. */
export async function stagePackages(
  packages: readonly LockedPackage[],
  options: StageOptions,
): Promise<StagedPackage[]> {
  const data: Archive<LockedPackage>[] = [];
  for (const locked of packages) {
    const file = options.pathOf(locked);
    data.push({ of: locked, file, member: (await membersOfDeb(file)).data });
  }
  const { filter, lanes } = options;
  const control = await readControls(packages, options);
  const entries = new Map<LockedPackage, StagedEntry[]>();
  let count = 0;
  const readData = (of: LockedPackage) => {
    const files = control.get(of)!;
    count += 1;
    const into = join(options.directory, String(count));
    return dataSink(into, needsDigest(files), (found) => {
      entries.set(of, found);
      options.onStaged?.(of);
    });
  };
  await readArchives(data, { lanes, filter, open: readData });
  return packages.map((locked) => ({
    locked,
    control: control.get(locked)!,
    entries: entries.get(locked)!,
  }));
}

/** The control files of packages, which come first in each of them and are small. */
export async function readControls(
  packages: readonly LockedPackage[],
  { filter, pathOf }: DebReading,
): Promise<Map<LockedPackage, Map<string, ControlFile>>> {
  const archives: Archive<LockedPackage>[] = [];
  for (const locked of packages) {
    const file = pathOf(locked);
    archives.push({ of: locked, file, member: (await membersOfDeb(file)).control });
  }
  const control = new Map<LockedPackage, Map<string, ControlFile>>();
  await readArchives(archives, { lanes: 1, filter, open: (of) => controlSink(control, of) });
  return control;
}

/** The paths that a package declares as conffiles (deb-conffiles(5)), with their flag. */
export function conffilesOf(
  control: ReadonlyMap<string, ControlFile>,
): { readonly path: string; readonly flag?: string }[] {
  const text = control.get("conffiles")?.bytes.toString("utf8") ?? "";
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .map((line) => {
      if (line.startsWith("/")) return { path: line };
      const [flag, path] = line.split(" ", 2);
      return { path: path ?? "", flag: flag ?? "" };
    });
}

/** Which files' MD5 is wanted: all where the package brings no list of them, else the conffiles'. */
function needsDigest(control: ReadonlyMap<string, ControlFile>): (path: string) => boolean {
  if (!control.has("md5sums")) return () => true;
  const conffiles = new Set(conffilesOf(control).map(({ path }) => path));
  return (path) => conffiles.has(path);
}

function controlSink(into: Map<LockedPackage, Map<string, ControlFile>>, locked: LockedPackage): TarSink {
  const files = new Map<string, ControlFile>();
  into.set(locked, files);
  let total = 0;
  return {
    member({ name, type, size, mode }) {
      if (type !== "file") return undefined;
      total += size;
      if (total > maxControlBytes)
        throw new Fail(`${locked.name} has control files of more than ${maxControlBytes} bytes`);
      const pieces: Buffer[] = [];
      return {
        write: (piece) => pieces.push(Buffer.from(piece)),
        close: () => files.set(name.replace(/^\.\//, ""), { bytes: Buffer.concat(pieces), mode }),
      };
    },
    end() {
      if (!files.has("control")) throw new Fail(`${locked.name} has no control file`);
    },
  };
}

function dataSink(
  into: string,
  digested: (path: string) => boolean,
  done: (entries: StagedEntry[]) => void,
): TarSink {
  const entries: StagedEntry[] = [];
  // dpkg places links when all else is there, so that none is followed while files are placed.
  const links: StagedEntry[] = [];
  let count = 0;
  return {
    member(member) {
      const { name, size, ...rest } = member;
      const path = pathOf(name);
      if (entries.length + links.length >= maxEntries)
        throw new Fail(`a package holds more than ${maxEntries} files`);
      if (member.type !== "file") {
        (member.type === "symlink" ? links : entries).push({ ...rest, path });
        return undefined;
      }
      count += 1;
      const staged = `${into}-${count}`;
      const entry: StagedEntry = { ...rest, path, staged };
      entries.push(entry);
      return stagedFile(entry, staged, digested(path));
    },
    end: () => done([...entries, ...links]),
  };
}

function stagedFile(entry: StagedEntry, staged: string, digested: boolean): TarContent {
  // Closed until it has its owner.
  const file = openSync(staged, "wx", 0o600);
  const hash = digested ? createHash("md5") : undefined;
  return {
    write(piece) {
      hash?.update(piece);
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
    },
    close() {
      fchownSync(file, entry.uid, entry.gid);
      fchmodSync(file, entry.mode);
      futimesSync(file, entry.mtime, entry.mtime);
      closeSync(file);
      if (hash !== undefined) entry.md5 = hash.digest("hex");
    },
  };
}

/** "./usr/bin/" as "/usr/bin"; a path that is none, or leads out, is refused. */
function pathOf(name: string): string {
  const path = `/${name.replace(/^\.?\/+/, "").replace(/\/+$/, "")}`;
  if (path === "/" || path === "/.") return "/.";
  const odd = path.split("/").some((part, at) => at > 0 && (part === "" || part === "." || part === ".."));
  if (odd || /[\p{Cc}\uFFFD]/u.test(path))
    throw new Fail(`a package holds a file named ${JSON.stringify(name)}`);
  return path;
}
