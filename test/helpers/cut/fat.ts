import { bytesOf, type FileAt, type Filesystem } from "./filesystem.ts";
import type { Partition } from "./partitions.ts";
import { Unreadable } from "./unreadable.ts";
import type { ReadAt } from "./write-log.ts";

const entryBytes = 32;
const attributes = { label: 0x08, directory: 0x10, long: 0x0f } as const;
const deleted = 0xe5;
const largestDirectory = 2 ** 20;

interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
  readonly cluster: number;
  readonly size: number;
}

/** FAT16 and FAT32, as firmware reads them (Microsoft's "FAT: General Overview of On-Disk Format"). */
export function openFat(read: ReadAt, partition: Partition): Filesystem {
  const boot = read(partition.start, 512);
  const sector = boot.readUInt16LE(11);
  if (boot.readUInt16LE(510) !== 0xaa55 || sector !== 512 || boot[13] === 0) throw new Unreadable("no FAT");
  const fatSectors = boot.readUInt16LE(22) || boot.readUInt32LE(36);
  const reserved = boot.readUInt16LE(14);
  const rootEntries = boot.readUInt16LE(17);
  const rootAt = reserved + boot[16]! * fatSectors;
  const dataAt = rootAt + (rootEntries * entryBytes) / sector;
  const clusterBytes = boot[13]! * sector;
  const sectors = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  if (fatSectors === 0 || sectors * sector > partition.size || dataAt > sectors)
    throw new Unreadable("no FAT");
  const clusters = Math.floor((sectors - dataAt) / boot[13]!);
  if (clusters < 4085) throw new Unreadable("FAT12");
  const wide = clusters >= 65_525;
  const width = wide ? 4 : 2;
  const fat = () => read(partition.start + reserved * sector, (clusters + 2) * width);
  let table: Buffer | undefined;

  const next = (cluster: number): number => {
    table ??= fat();
    return wide ? table.readUInt32LE(cluster * 4) & 0x0fffffff : table.readUInt16LE(cluster * 2);
  };
  const chain = (first: number, size: number): FileAt => {
    const pieces: { at: number; length: number }[] = [];
    let length = 0;
    for (let at = first; length < size; at = next(at)) {
      if (at < 2 || at >= clusters + 2) {
        // A directory's length is not written down: it goes on to the end of its clusters.
        if (size === largestDirectory && length > 0 && at >= (wide ? 0x0ffffff8 : 0xfff8)) break;
        throw new Unreadable("a file of FAT whose clusters end too early");
      }
      pieces.push({ at: partition.start + dataAt * sector + (at - 2) * clusterBytes, length: clusterBytes });
      length += clusterBytes;
    }
    return { size: Math.min(size, length), pieces: joined(pieces) };
  };
  const directory = (cluster: number): Entry[] => {
    if (cluster === 0 && !wide)
      return entriesOf(read(partition.start + rootAt * sector, rootEntries * entryBytes));
    const first = cluster === 0 ? boot.readUInt32LE(44) : cluster;
    return entriesOf(bytesOf(read, chain(first, largestDirectory)));
  };
  const find = (path: string): Entry => {
    let at: Entry = { name: "/", isDirectory: true, cluster: 0, size: 0 };
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (!at.isDirectory) throw new Unreadable(`no ${path}`);
      const found = directory(at.cluster).find((one) => one.name.toLowerCase() === name.toLowerCase());
      if (found === undefined) throw new Unreadable(`no ${path}`);
      at = found;
    }
    return at;
  };
  return {
    uuid: serialOf(boot, wide),
    file: (path) => {
      const found = find(path);
      if (found.isDirectory) throw new Unreadable(`${path} is no file`);
      return found.size === 0 ? { size: 0, pieces: [] } : chain(found.cluster, found.size);
    },
    list: (path) => directory(find(path).cluster).map(({ name }) => name),
  };
}

function joined(pieces: readonly { at: number; length: number }[]): { at: number; length: number }[] {
  const made: { at: number; length: number }[] = [];
  for (const { at, length } of pieces) {
    const last = made.at(-1);
    if (last !== undefined && last.at + last.length === at) last.length += length;
    else made.push({ at, length });
  }
  return made;
}

function entriesOf(bytes: Buffer): Entry[] {
  const found: Entry[] = [];
  let long = "";
  for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
    const entry = bytes.subarray(at, at + entryBytes);
    if (entry[0] === 0) break;
    if (entry[0] === deleted) long = "";
    else if (entry[11] === attributes.long) long = longPart(entry) + long;
    else {
      const name = long === "" ? shortName(entry) : long;
      long = "";
      if ((entry[11]! & attributes.label) !== 0 || name === "." || name === "..") continue;
      found.push({
        ...{ name, isDirectory: (entry[11]! & attributes.directory) !== 0, size: entry.readUInt32LE(28) },
        cluster: entry.readUInt16LE(26) + entry.readUInt16LE(20) * 65_536,
      });
    }
  }
  return found;
}

function longPart(entry: Buffer): string {
  const text = Buffer.concat([
    entry.subarray(1, 11),
    entry.subarray(14, 26),
    entry.subarray(28, 32),
  ]).toString("utf16le");
  return text.replace(/\0[\s\S]*$/, "");
}

function shortName(entry: Buffer): string {
  const [name, extension] = [
    entry.toString("latin1", 0, 8).trimEnd(),
    entry.toString("latin1", 8, 11).trimEnd(),
  ];
  return extension === "" ? name : `${name}.${extension}`;
}

function serialOf(boot: Buffer, wide: boolean): string {
  const hex = boot
    .readUInt32LE(wide ? 67 : 39)
    .toString(16)
    .toUpperCase()
    .padStart(8, "0");
  return `${hex.slice(0, 4)}-${hex.slice(4)}`;
}
