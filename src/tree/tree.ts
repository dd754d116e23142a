import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { Fail } from "../util/fail.ts";
import { inDirectory, isLink, opened, removeAll, removeContent } from "./entries.ts";
import { type Found, isMissing, O_PATH, openDirectory, pathOf, walk } from "./walk.ts";

/** How a new file is made; by default the owner is the user of this process. */
interface NewFile {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A directory held open: `path` leads to it even if it or a directory above is renamed. */
export interface Held {
  readonly path: string;
  close(): void;
}

/**
 * The files of a tree in the making. What runs in it (maintainer scripts, scripts of the definition) may put links anywhere,
 * so this is the only way to touch a path of it: links are followed as the system in the tree would follow them, and none leads
 * out. At the end of a path, reading follows a link, and changing never does: it replaces the link or refuses.
 *
 * All programs of the tree have ended before one of its files is touched (system/door/chroot), except those that configure
 * packages while others are unpacked. Nothing here relies on that: every step starts from a directory that is held open.
 */
export class Tree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** The tree at that directory, which is made if it is missing. */
  static make(root: string): Tree {
    mkdirSync(root, { recursive: true });
    return new Tree(root);
  }

  /** That directory as a tree. Where it is below another's root, links on the way to it lead where they lead in that one. */
  static within(root: string, directory: string): Tree {
    const below = relative(root, directory);
    if (below === ".." || below.startsWith("../")) return Tree.make(directory);
    const tree = new Tree(root);
    tree.makeDirectories(below);
    return new Tree(tree.directory(below));
  }

  /** What is at the path, a link being a link; undefined where nothing is. */
  stat(path: string): Stats | undefined {
    return orMissing(() => this.#at(path, ({ at }) => lstatSync(at, { throwIfNoEntry: false })));
  }

  /** What the path leads to. */
  find(path: string): Stats | undefined {
    return orMissing(() => this.#to(path, ({ at }) => lstatSync(at, { throwIfNoEntry: false })));
  }

  /** Content of the regular file to which the path leads; undefined where nothing is. */
  read(path: string): Buffer | undefined {
    return orMissing(() =>
      this.#to(path, ({ at }) => opened(at, path, constants.O_RDONLY, (fd) => readFileSync(fd))),
    );
  }

  text(path: string): string | undefined {
    return this.read(path)?.toString("utf8");
  }

  /** The target of a link; undefined where there is none. */
  link(path: string): string | undefined {
    return this.stat(path)?.isSymbolicLink() ? this.#at(path, ({ at }) => readlinkSync(at)) : undefined;
  }

  /** Names in the directory to which the path leads; none where there is no directory. */
  list(path: string): string[] {
    return orMissing(() => this.#to(path, ({ at }) => inDirectory(at, (dir) => readdirSync(dir)))) ?? [];
  }

  /** Where in the tree the path really leads. */
  real(path: string): string {
    return this.#to(path, (found) => found.path);
  }

  /** The outside path of the directory that it leads to, for programs that get it: there is no link in it. */
  directory(path: string): string {
    const real = this.#to(path, (found) => {
      closeSync(openDirectory(found.at));
      return found.path;
    });
    return join(this.root, real);
  }

  /** Holds the directory to which the path leads open. */
  hold(path: string): Held {
    const fd = this.#to(path, ({ at }) => openDirectory(at));
    return { path: pathOf(fd), close: () => closeSync(fd) };
  }

  /** A new file, which replaces anything but a directory. It is closed to others until it has its owner. */
  write(path: string, content: string | Uint8Array, { mode = 0o644, uid, gid }: NewFile = {}): void {
    this.#replace(path, (at) => {
      const fd = openSync(at, "wx", 0o600);
      try {
        writeFileSync(fd, content);
        if (uid !== undefined && gid !== undefined) fchownSync(fd, uid, gid);
        fchmodSync(fd, mode);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** New content for a regular file, whose owner and mode stay. */
  rewrite(path: string, content: string | Uint8Array): void {
    this.#at(path, ({ at }) =>
      opened(at, path, constants.O_WRONLY, (fd) => {
        ftruncateSync(fd);
        writeFileSync(fd, content);
      }),
    );
  }

  /** New bytes from the beginning of a regular file, in their place on the disk: as many as are given. */
  overwrite(path: string, content: Uint8Array): void {
    this.#at(path, ({ at }) =>
      opened(at, path, constants.O_WRONLY, (fd) => {
        writeSync(fd, content, 0, content.length, 0);
        fsyncSync(fd);
      }),
    );
  }

  /**
   * Another file in the place of one that firmware or a bootloader may read at any time, after a power cut as well: whole and on the
   * disk under a name of its own, then renamed over it. The old one is held open until that is on the disk too, or its blocks would be
   * free while its name may still be there.
   */
  renew(path: string, content: string | Uint8Array): void {
    this.#at(path, ({ at }) => {
      const beside = `${at}.new`;
      const old = openSync(at, constants.O_RDONLY | constants.O_NOFOLLOW);
      const directory = openSync(dirname(at), constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        if (lstatSync(beside, { throwIfNoEntry: false }) !== undefined) unlinkSync(beside);
        const fd = openSync(beside, "wx", fstatSync(old).mode & 0o777);
        try {
          writeFileSync(fd, content);
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
        fsyncSync(directory);
        renameSync(beside, at);
        fsyncSync(directory);
      } finally {
        closeSync(directory);
        closeSync(old);
      }
    });
  }

  /** More content for a regular file, which is made if it is missing. */
  append(path: string, content: string, mode = 0o644): void {
    if (this.stat(path) === undefined) this.write(path, content, { mode });
    else
      this.#at(path, ({ at }) =>
        opened(at, path, constants.O_WRONLY | constants.O_APPEND, (fd) => writeFileSync(fd, content)),
      );
  }

  symlink(path: string, link: string): void {
    this.#replace(path, (at) => symlinkSync(link, at));
  }

  /** Another name for a file that `from`, a path outside, has. */
  hardLink(path: string, from: string): void {
    this.#replace(path, (at) => linkSync(from, at));
  }

  /** Directories that are missing on the way to the path, itself included. */
  makeDirectories(path: string, mode = 0o755): void {
    walk(this.root, path, { follow: true, make: mode }, () => {});
  }

  /** Removes what is at the path, with all that is in it. */
  remove(path: string): void {
    orMissing(() => this.#at(path, ({ at }) => removeAll(Buffer.from(at))));
  }

  /** Removes what is in a directory, which stays. A link to one, or anything else, is left alone. */
  clear(path: string, keep: readonly string[] = []): void {
    if (!this.stat(path)?.isDirectory()) return;
    this.#at(path, ({ at }) => removeContent(Buffer.from(at), keep));
  }

  rename(from: string, to: string): void {
    this.#at(from, (one) => this.#at(to, (other) => renameSync(one.at, other.at)));
  }

  chmod(path: string, mode: number): void {
    this.#at(path, ({ at }) => {
      const fd = openSync(at, O_PATH | constants.O_NOFOLLOW);
      try {
        if (fstatSync(fd).isSymbolicLink()) throw isLink(path);
        chmodSync(pathOf(fd), mode);
      } finally {
        closeSync(fd);
      }
    });
  }

  chown(path: string, uid: number, gid: number): void {
    this.#at(path, ({ at }) => lchownSync(at, uid, gid));
  }

  utimes(path: string, accessed: number | Date, changed: number | Date): void {
    this.#at(path, ({ at }) => lutimesSync(at, accessed, changed));
  }

  /** Copies the regular file to which the path leads to a place outside. */
  copyOut(path: string, to: string): void {
    this.#to(path, ({ at }) => opened(at, path, constants.O_RDONLY, (fd) => copyFileSync(pathOf(fd), to)));
  }

  /** Copies the regular file to which the path leads to a path of another tree, whose directories are made. */
  copy(path: string, other: Tree, to: string): void {
    other.makeDirectories(dirname(to));
    this.#to(path, ({ at }) =>
      opened(at, path, constants.O_RDONLY, (fd) =>
        other.#replace(to, (place) => copyFileSync(pathOf(fd), place, constants.COPYFILE_EXCL)),
      ),
    );
  }

  /** Copies a file with its mode and times, or a link, into another tree, to the same path. */
  copySame(path: string, other: Tree): void {
    const link = this.link(path);
    if (link === undefined) {
      this.copy(path, other, path);
      const { atime, mtime } = this.stat(path)!;
      other.utimes(path, atime, mtime);
    } else {
      other.makeDirectories(dirname(path));
      other.symlink(path, link);
    }
  }

  #at<T>(path: string, work: (found: Found) => T): T {
    return walk(this.root, path, { follow: false }, work);
  }

  #to<T>(path: string, work: (found: Found) => T): T {
    return walk(this.root, path, { follow: true }, work);
  }

  #replace(path: string, make: (at: string) => void): void {
    this.#at(path, ({ at }) => {
      const there = lstatSync(at, { throwIfNoEntry: false });
      if (there?.isDirectory()) throw new Fail(`${path} is a directory in the tree, not a file`);
      if (there !== undefined) unlinkSync(at);
      make(at);
    });
  }
}

function orMissing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
