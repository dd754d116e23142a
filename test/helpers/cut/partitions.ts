import { crc32 } from "node:zlib";
import { partitionTypes } from "../../../src/storage/table/gpt.ts";
import { sectorBytes } from "./disk-view.ts";
import { Unreadable } from "./unreadable.ts";
import type { ReadAt } from "./write-log.ts";

const entryBytes = 128;
const mostEntries = 128;
const efiProtective = 0xee;

export interface Partition {
  readonly number: number;
  readonly type: string;
  /** Bytes. */
  readonly start: number;
  readonly size: number;
}

/** Both copies of a GPT, each with why it is none; UEFI 2.10, 5.3. */
export interface Table {
  readonly protective: boolean;
  readonly primary: readonly Partition[] | Unreadable;
  readonly backup: readonly Partition[] | Unreadable;
}

export function readTable(read: ReadAt, size: number): Table {
  const first = read(0, sectorBytes);
  const protective =
    first.readUInt16LE(510) === 0xaa55 &&
    [0, 1, 2, 3].some((index) => first[446 + index * 16 + 4] === efiProtective);
  const last = size / sectorBytes - 1;
  return { protective, primary: tableAt(read, 1, last), backup: tableAt(read, last, last) };
}

/** The disk's partitions as `who` sees them: Linux and GRUB by the first copy alone, UEFI by either, as it mends one by the other. */
export function partitionsOf(
  { protective, primary, backup }: Table,
  who: "bios" | "uefi",
): readonly Partition[] {
  if (!protective) throw new Unreadable("no protective MBR");
  if (!(primary instanceof Unreadable)) return primary;
  if (who === "uefi" && !(backup instanceof Unreadable)) return backup;
  throw primary;
}

export function ofType(
  partitions: readonly Partition[],
  type: keyof typeof partitionTypes,
): readonly Partition[] {
  const known: readonly string[] = partitionTypes[type];
  return partitions.filter((one) => known.some((guid) => guid.toLowerCase() === one.type));
}

function tableAt(read: ReadAt, lba: number, last: number): readonly Partition[] | Unreadable {
  const header = read(lba * sectorBytes, sectorBytes);
  if (header.toString("latin1", 0, 8) !== "EFI PART") return new Unreadable("no partition table");
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < 92 || headerBytes > sectorBytes) return new Unreadable("a torn partition table");
  const own = Buffer.from(header.subarray(0, headerBytes));
  own.writeUInt32LE(0, 16);
  if (crc32(own) !== header.readUInt32LE(16) || Number(header.readBigUInt64LE(24)) !== lba)
    return new Unreadable("a torn partition table");
  const [at, count, each] = [
    Number(header.readBigUInt64LE(72)),
    header.readUInt32LE(80),
    header.readUInt32LE(84),
  ];
  if (each !== entryBytes || count > mostEntries || at + (count * each) / sectorBytes > last + 1)
    return new Unreadable("a partition table of another form");
  const entries = read(at * sectorBytes, count * each);
  if (crc32(entries) !== header.readUInt32LE(88)) return new Unreadable("a torn partition table");
  return Array.from({ length: count }, (_, index) =>
    entries.subarray(index * each, (index + 1) * each),
  ).flatMap((entry, index) => {
    const [from, to] = [32, 40].map((where) => Number(entry.readBigUInt64LE(where))) as [number, number];
    if (from === 0) return [];
    return [
      {
        number: index + 1,
        type: guid(entry),
        start: from * sectorBytes,
        size: (to - from + 1) * sectorBytes,
      },
    ];
  });
}

function guid(bytes: Buffer): string {
  const hex = (from: number, to: number) => bytes.toString("hex", from, to);
  const turned = (from: number, to: number) =>
    Buffer.from(bytes.subarray(from, to)).reverse().toString("hex");
  return [turned(0, 4), turned(4, 6), turned(6, 8), hex(8, 10), hex(10, 16)].join("-");
}
