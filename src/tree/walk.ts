import { closeSync, constants, lstatSync, mkdirSync, openSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Fail } from "../util/fail.ts";

/** As many links as the kernel follows. */
const maxLinks = 40;
/** open(2): holds what is at the path without reading it or waking a device (O_PATH). Node has no name for it. */
export const O_PATH = 0o10000000;
const directoryFlags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** What a path of a tree leads to, or would. It is valid while the work on it lasts. */
export interface Found {
  /** Where it is, for system calls that follow no link at the end: the directory that holds it is held open. */
  readonly at: string;
  /** Where it really is in the tree: "/run/lock" for "/var/lock". */
  readonly path: string;
}

interface Walk {
  /** Whether a link at the end of the path is followed, as those before it always are. */
  readonly follow: boolean;
  /** Makes directories that are missing, of this mode. */
  readonly make?: number | undefined;
}

/**
 * Goes along a path below `root` as the kernel does for a process whose root directory that is (openat2(2) with
 * RESOLVE_IN_ROOT, which Node does not have): an absolute link begins at the root, and `..` never leads above it. Each
 * directory on the way is opened from the one before it and following no link, so nothing that happens to names meanwhile
 * leads elsewhere.
 */
export function walk<T>(root: string, path: string, how: Walk, work: (found: Found) => T): T {
  for (const watcher of watchers) watcher(root, path);
  const levels: Level[] = [];
  try {
    levels.push({ name: "", fd: openSync(root, O_PATH | constants.O_DIRECTORY) });
    return work(follow(levels, path, how));
  } catch (error) {
    throw named(error, join(root, path));
  } finally {
    for (const { fd } of levels) closeSync(fd);
  }
}

type Watcher = (root: string, path: string) => void;
const watchers = new Set<Watcher>();

/** Reports every path that is asked for in any tree, until the returned function is called: so a test knows them all. */
export function watchTrees(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}

/** An existing directory that is no link, held open; `at` as in `Found`. */
export function openDirectory(at: string | Buffer): number {
  return openSync(at, directoryFlags);
}

/** The path of a descriptor. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** A directory on the way, held open. */
interface Level {
  readonly name: string;
  readonly fd: number;
}

function follow(levels: Level[], path: string, how: Walk): Found {
  const rest = partsOf(path);
  let links = 0;
  const up = () => {
    if (levels.length > 1) closeSync(levels.pop()!.fd);
  };
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "..") {
      up();
      continue;
    }
    const at = `${pathOf(levels.at(-1)!.fd)}/${name}`;
    // When directories are made, it enters the last one too.
    const isLast = rest.length === 0 && how.make === undefined;
    if (isLast && !how.follow) return { at, path: shown(levels, name) };
    const link = isLast ? linkAt(at) : enter(levels, at, name, how.make);
    if (link === undefined) {
      if (isLast) return { at, path: shown(levels, name) };
      continue;
    }
    links += 1;
    if (links > maxLinks)
      throw new Fail(`${path}: its symbolic links go in a circle in the tree`, {
        hint: "see which package or script of the definition makes them",
      });
    if (link.startsWith("/")) while (levels.length > 1) up();
    rest.unshift(...partsOf(link));
  }
  return { at: `${pathOf(levels.at(-1)!.fd)}/.`, path: shown(levels, "") };
}

/** Enters a directory; where there is a link instead, returns its target. */
function enter(levels: Level[], at: string, name: string, make: number | undefined): string | undefined {
  try {
    levels.push({ name, fd: openDirectory(at) });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const link = code === "ENOTDIR" ? linkAt(at) : undefined;
    if (link !== undefined) return link;
    if (code !== "ENOENT" || make === undefined) throw error;
    mkdirSync(at, { mode: make });
    levels.push({ name, fd: openDirectory(at) });
  }
  return undefined;
}

function linkAt(at: string): string | undefined {
  return lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(at) : undefined;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function shown(levels: readonly Level[], name: string): string {
  const names = [...levels.slice(1).map((level) => level.name), name].filter((one) => one !== "");
  return `/${names.join("/")}`;
}

/** An error of the system names the path in the tree, not its descriptor here. */
function named(error: unknown, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || error instanceof Fail || code === undefined) return error;
  const message = `${code}: ${syscall ?? "failed"} '${path}'`;
  return Object.assign(new Error(message, { cause: error }), { code, syscall, path });
}
