import { bytesOf, type FileAt, type Filesystem } from "./filesystem.ts";
import type { Partition } from "./partitions.ts";
import { Unreadable } from "./unreadable.ts";
import type { ReadAt } from "./write-log.ts";

const superblockAt = 1024;
const magic = 0xef53;
const extentMagic = 0xf30a;
const rootInode = 2;
const journalInode = 8;
/** Those of a fresh filesystem of mke2fs, and that a journal waits for its replay; another would need another reader. */
const knownIncompat = 0x2 | 0x4 | 0x40 | 0x80 | 0x200 | 0x2000;
const bits64 = 0x80;
const extentsFlag = 0x80000;
const kinds = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const;
const mostLinks = 8;
const mostDepth = 5;
const largestDirectory = 2 ** 22;

interface Inode {
  /** Mode and kind, owner and group. */
  readonly mode: number;
  readonly owner: string;
  readonly kind: number;
  readonly size: number;
  readonly flags: number;
  readonly block: Buffer;
}

export interface Ext4 extends Filesystem {
  readonly blockBytes: number;
  /** The journal's own file. */
  readonly journal: FileAt;
  /** Everything in it, in the order of its directories. */
  everything(): Generator<Something>;
}

/** A file, directory, link or device; of a short link and of a device `short` says where it leads. */
export interface Something {
  readonly path: string;
  readonly mode: number;
  readonly owner: string;
  readonly content: FileAt | undefined;
  readonly short: string | undefined;
}

/** fs/ext4/ext4.h; read as GRUB reads it, without the journal. */
export function openExt4(read: ReadAt, partition: Partition): Ext4 {
  const sb = read(partition.start + superblockAt, 1024);
  if (sb.readUInt16LE(56) !== magic) throw new Unreadable("no ext4");
  const incompat = sb.readUInt32LE(96);
  if ((incompat & ~knownIncompat) !== 0)
    throw new Unreadable(`ext4 with the features ${incompat.toString(16)}`);
  const blockBytes = 1024 << (sb.readUInt32LE(24) & 7);
  const blocks = sb.readUInt32LE(4);
  if (blocks * blockBytes > partition.size) throw new Unreadable("an ext4 that is larger than its partition");
  const shape = {
    ...{ blockBytes, blocks, firstData: sb.readUInt32LE(20), perGroup: sb.readUInt32LE(40) },
    ...{ inodes: sb.readUInt32LE(0), inodeBytes: sb.readUInt16LE(88) },
    descriptor: (incompat & bits64) === 0 ? 32 : sb.readUInt16LE(254),
  };
  if (shape.perGroup === 0 || shape.inodeBytes < 128 || shape.descriptor < 32)
    throw new Unreadable("a torn superblock of ext4");
  const block = (number: number, length = blockBytes) => {
    if (number >= blocks) throw new Unreadable("a block that is not in its ext4");
    return read(partition.start + number * blockBytes, length);
  };

  const inode = (number: number): Inode => {
    if (number < 1 || number > shape.inodes) throw new Unreadable("an inode that is not in its ext4");
    const group = Math.floor((number - 1) / shape.perGroup);
    const at = (shape.firstData + 1) * blockBytes + group * shape.descriptor;
    const descriptor = read(partition.start + at, shape.descriptor);
    const table = descriptor.readUInt32LE(8);
    const inTable = ((number - 1) % shape.perGroup) * shape.inodeBytes;
    if (table === 0 || table >= blocks) throw new Unreadable("a group of ext4 without inodes");
    const bytes = read(partition.start + table * blockBytes + inTable, 128);
    return {
      mode: bytes.readUInt16LE(0),
      owner: `${bytes.toString("hex", 2, 4)}${bytes.toString("hex", 24, 26)}${bytes.toString("hex", 120, 124)}`,
      kind: bytes.readUInt16LE(0) & 0o170000,
      size: bytes.readUInt32LE(4) + bytes.readUInt32LE(108) * 2 ** 32,
      flags: bytes.readUInt32LE(32),
      block: bytes.subarray(40, 100),
    };
  };

  const content = ({ size, flags, block: tree }: Inode): FileAt => {
    if ((flags & extentsFlag) === 0) throw new Unreadable("a file of ext4 without extents");
    const extents = extentsOf(tree, block, mostDepth);
    const pieces: { at: number; length: number }[] = [];
    let next = 0;
    for (const { first, count, start } of extents) {
      if (first < next) throw new Unreadable("extents of ext4 in disorder");
      if (first > next) pieces.push({ at: -1, length: (first - next) * blockBytes });
      if (start >= 0 && start + count > blocks) throw new Unreadable("an extent that is not in its ext4");
      pieces.push({ at: start < 0 ? -1 : partition.start + start * blockBytes, length: count * blockBytes });
      next = first + count;
    }
    if (next * blockBytes < size) pieces.push({ at: -1, length: size - next * blockBytes });
    return { size, pieces };
  };

  const entries = (directory: Inode): Map<string, number> => {
    if (directory.kind !== kinds.directory) throw new Unreadable("a path through what is no directory");
    if (directory.size > largestDirectory) throw new Unreadable("a directory without end");
    return entriesOf(bytesOf(read, content(directory)));
  };

  const find = (path: string, links = 0): Inode => {
    let at = inode(rootInode);
    const names = path.split("/").filter((name) => name !== "");
    for (const [index, name] of names.entries()) {
      const number = entries(at).get(name);
      if (number === undefined) throw new Unreadable(`no ${path}`);
      at = inode(number);
      if (at.kind !== kinds.link) continue;
      if (links === mostLinks) throw new Unreadable(`too many links at ${path}`);
      const to =
        at.size < 60 ? at.block.toString("utf8", 0, at.size) : bytesOf(read, content(at)).toString("utf8");
      const base = to.startsWith("/") ? "" : `/${names.slice(0, index).join("/")}`;
      return find(`${base}/${to}/${names.slice(index + 1).join("/")}`, links + 1);
    }
    return at;
  };
  function* everything(path = "", directory = inode(rootInode)): Generator<Something> {
    for (const [name, number] of entries(directory)) {
      if (name === "." || name === "..") continue;
      const found = inode(number);
      const { mode, owner, kind } = found;
      const isFile = kind === kinds.file || (kind === kinds.link && found.size >= 60);
      const short = isFile || kind === kinds.directory ? undefined : found.block.toString("hex");
      yield {
        ...{ path: `${path}/${name}`, mode, owner, short },
        content: isFile ? content(found) : undefined,
      };
      if (kind === kinds.directory) yield* everything(`${path}/${name}`, found);
    }
  }
  return {
    everything,
    uuid: uuidOf(sb),
    blockBytes,
    get journal() {
      return content(inode(journalInode));
    },
    file: (path) => {
      const found = find(path);
      if (found.kind !== kinds.file) throw new Unreadable(`${path} is no file`);
      return content(found);
    },
    list: (path) => [...entries(find(path)).keys()],
  };
}

interface Extent {
  readonly first: number;
  readonly count: number;
  /** -1: allocated, and not written yet. */
  readonly start: number;
}

function extentsOf(node: Buffer, block: (number: number) => Buffer, depthLeft: number): Extent[] {
  const [count, depth] = [node.readUInt16LE(2), node.readUInt16LE(6)];
  if (node.readUInt16LE(0) !== extentMagic || 12 + count * 12 > node.length || depth > depthLeft)
    throw new Unreadable("torn extents of ext4");
  return Array.from({ length: count }, (_, index) => node.subarray(12 + index * 12, 24 + index * 12)).flatMap(
    (entry) => {
      if (depth > 0) return extentsOf(block(entry.readUInt32LE(4)), block, depth - 1);
      const length = entry.readUInt16LE(4);
      const unwritten = length > 32_768;
      return [
        {
          first: entry.readUInt32LE(0),
          count: unwritten ? length - 32_768 : length,
          start: unwritten ? -1 : entry.readUInt32LE(8),
        },
      ];
    },
  );
}

function entriesOf(bytes: Buffer): Map<string, number> {
  const found = new Map<string, number>();
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at + 4);
    if (length < 8 || at + length > bytes.length) throw new Unreadable("a torn directory of ext4");
    const number = bytes.readUInt32LE(at);
    const nameEnd = at + 8 + bytes[at + 6]!;
    if (nameEnd > at + length) throw new Unreadable("a torn directory of ext4");
    if (number !== 0) found.set(bytes.toString("utf8", at + 8, nameEnd), number);
    at += length;
  }
  return found;
}

function uuidOf(sb: Buffer): string {
  const hex = (from: number, to: number) => sb.toString("hex", 104 + from, 104 + to);
  return [hex(0, 4), hex(4, 6), hex(6, 8), hex(8, 10), hex(10, 16)].join("-");
}
