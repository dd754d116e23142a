import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Fail } from "../../../src/util/fail.ts";

/** Linux's Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c; QEMU's block/blklogwrites.c. */
const magic = 0x6a736677736872n;
const version = 1n;
const flags = { flush: 1, fua: 2, discard: 4, mark: 8 } as const;
const knownFlags = 15n;
const entryBytes = 32;
const smallestSector = 512;
const largestSector = 4096;
/** A disk of a test is smaller by far. */
const mostSectors = 2n ** 31n;

/** Bytes that are read at a place of a file or disk. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** Something that a disk was asked for. Offsets and lengths in bytes. */
export type LogEntry =
  | {
      readonly kind: "write";
      readonly offset: number;
      readonly length: number;
      readonly dataAt: number;
      readonly fua: boolean;
      readonly flush: boolean;
      readonly end: number;
    }
  | { readonly kind: "discard"; readonly offset: number; readonly length: number; readonly end: number }
  | { readonly kind: "flush"; readonly end: number }
  | { readonly kind: "mark"; readonly text: string; readonly end: number };

/**
 * The entries of a log of writes, one after another; their data stays where it is, at `dataAt` of the log. `end` is where the entry
 * ends in it. What is not exactly such a log is refused.
 */
export function* logEntries(read: ReadAt, size: number): Generator<LogEntry> {
  const { entries, sector } = superblock(read, size);
  let at = sector;
  for (let index = 0; index < entries; index += 1) {
    if (at + sector > size) throw new Fail(`the log of writes ends within entry ${index} of ${entries}`);
    const header = read(at, entryBytes);
    const bits = header.readBigUInt64LE(16);
    if ((bits & ~knownFlags) !== 0n)
      throw new Fail(`entry ${index} of the log of writes has the flags ${bits}`);
    const set = Number(bits);
    const [first, count] = [0, 8].map((where) => bounded(header.readBigUInt64LE(where), index)) as [
      number,
      number,
    ];
    const dataAt = at + sector;
    const offset = first * sector;
    const length = count * sector;
    if (set & flags.mark) {
      const textBytes = bounded(header.readBigUInt64LE(24), index);
      const end = dataAt + Math.ceil(textBytes / sector) * sector;
      inside(end, size, index);
      yield { kind: "mark", text: read(dataAt, textBytes).toString("utf8"), end };
      at = end;
    } else if (set & flags.discard) {
      yield { kind: "discard", offset, length, end: dataAt };
      at = dataAt;
    } else if (count === 0) {
      if (!(set & flags.flush)) throw new Fail(`entry ${index} of the log of writes does nothing`);
      yield { kind: "flush", end: dataAt };
      at = dataAt;
    } else {
      const end = dataAt + length;
      inside(end, size, index);
      yield {
        kind: "write",
        offset,
        length,
        dataAt,
        fua: (set & flags.fua) > 0,
        flush: (set & flags.flush) > 0,
        end,
      };
      at = end;
    }
  }
}

function superblock(read: ReadAt, size: number): { entries: number; sector: number } {
  if (size < smallestSector) throw new Fail(`a log of writes has a sector at least, not ${size} bytes`);
  const head = read(0, 28);
  if (head.readBigUInt64LE(0) !== magic)
    throw new Fail("this is no log of writes: its magic number is another");
  if (head.readBigUInt64LE(8) !== version)
    throw new Fail(`the log of writes has version ${head.readBigUInt64LE(8)}; ${version} is read`);
  const sector = head.readUInt32LE(24);
  if (sector < smallestSector || sector > largestSector || (sector & (sector - 1)) !== 0)
    throw new Fail(`the log of writes has sectors of ${sector} bytes`);
  return { entries: bounded(head.readBigUInt64LE(16), 0), sector };
}

function bounded(value: bigint, index: number): number {
  if (value >= mostSectors) throw new Fail(`entry ${index} of the log of writes says ${value}`);
  return Number(value);
}

function inside(end: number, size: number, index: number): void {
  if (end > size) throw new Fail(`the log of writes ends within the data of entry ${index}`);
}

/** A file, to be read at any place; what is past its end is zeros, as of a disk. */
export function openForReading(path: string): {
  readonly size: number;
  readonly read: ReadAt;
  close(): void;
} {
  const file = openSync(path, "r");
  return {
    size: fstatSync(file).size,
    read: (offset, length) => {
      const into = Buffer.alloc(length);
      readSync(file, into, 0, length, offset);
      return into;
    },
    close: () => closeSync(file),
  };
}
