import type { Partition, WrittenDisk } from "../schema/storage.ts";
import { Fail } from "../util/fail.ts";
import { diskUuid, partitionUuid } from "./ids.ts";

const mib = 2 ** 20;
/** Room for the partition entries: 128 of 128 bytes, whatever the sector size. */
const entryBytes = 128 * 128;

/** Type GUIDs, from the UAPI Discoverable Partitions Specification; `linux-root` is that of x86-64. */
const typeGuids: Readonly<Record<Partition["type"], string>> = {
  "bios-boot": "21686148-6449-6E6F-744E-656564454649",
  esp: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
  linux: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
  "linux-root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
};

export interface LaidPartition {
  readonly name: string;
  /** Counted from 1; the partition's node is found by it. */
  readonly number: number;
  readonly type: Partition["type"];
  readonly typeGuid: string;
  readonly partUuid: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
  readonly content: Partition["content"];
}

export interface Layout {
  readonly disk: string;
  readonly diskUuid: string;
  readonly sizeBytes: number;
  readonly sectorSize: number;
  readonly partitions: readonly LaidPartition[];
}

/** Where each partition of a disk lies: from 1 MiB on, in order, aligned to 1 MiB, without touching the backup table. */
export function layoutOf(
  disk: WrittenDisk,
  sizeBytes: number,
  sectorSize: number,
  ids: { readonly seed: string; readonly name: string },
): Layout {
  if (sectorSize !== 512 && sectorSize !== 4096)
    throw new Fail(`disk ${ids.name} has sectors of ${sectorSize} bytes; 512 and 4096 are supported`);
  const end = usableEnd(sizeBytes, sectorSize);
  const partitions: LaidPartition[] = [];
  const names = new Set<string>();
  let start = mib;
  for (const [index, partition] of disk.table.partitions.entries()) {
    if (names.has(partition.name))
      throw new Fail(`disk ${ids.name} has two partitions named ${partition.name}`);
    names.add(partition.name);
    const last = index === disk.table.partitions.length - 1;
    if (partition.size === "rest" && !last)
      throw new Fail(
        `partition ${partition.name} of disk ${ids.name} has the size "rest" and is not the last one`,
        {
          hint: 'give it a size, or put it last; only one partition can be "rest"',
        },
      );
    const size = partition.size === "rest" ? end - start : partition.size;
    if (size < mib || start + size > end) throw tooSmall(disk, sizeBytes, end, partition.name, ids.name);
    partitions.push({
      name: partition.name,
      number: index + 1,
      type: partition.type,
      typeGuid: typeGuids[partition.type],
      partUuid: partitionUuid(ids.seed, ids.name, partition.name),
      startBytes: start,
      sizeBytes: size,
      content: partition.content,
    });
    start += size;
  }
  checkFirmwareLimits(partitions, sectorSize, ids.name);
  return { disk: ids.name, diskUuid: diskUuid(ids.seed, ids.name), sizeBytes, sectorSize, partitions };
}

/** First byte, a multiple of 1 MiB, that no partition may reach: behind it lie the backup entries and header. */
export function usableEnd(sizeBytes: number, sectorSize: number): number {
  const backup = Math.ceil(entryBytes / sectorSize) * sectorSize + sectorSize;
  return Math.floor((sizeBytes - backup) / mib) * mib;
}

/** The whole table as sfdisk reads it on stdin: nothing is left to its defaults. */
export function sfdiskScript(layout: Layout): string {
  const { sectorSize } = layout;
  const lines = [
    "label: gpt",
    `label-id: ${layout.diskUuid.toUpperCase()}`,
    "unit: sectors",
    `first-lba: ${mib / sectorSize}`,
    `sector-size: ${sectorSize}`,
    "",
    ...layout.partitions.map((partition) =>
      [
        `${partition.number} : start=${partition.startBytes / sectorSize}`,
        `size=${partition.sizeBytes / sectorSize}`,
        `type=${partition.typeGuid}`,
        `uuid=${partition.partUuid.toUpperCase()}`,
        `name="${partition.name}"`,
      ].join(", "),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function tooSmall(disk: WrittenDisk, sizeBytes: number, end: number, partition: string, name: string): Fail {
  const asked = disk.table.partitions.reduce((sum, one) => sum + (one.size === "rest" ? mib : one.size), mib);
  return new Fail(
    `disk ${name} of ${showMib(sizeBytes)} is too small: partition ${partition} does not fit; ` +
      `the layout needs ${showMib(asked)} and partitions can use ${showMib(Math.max(0, end))}`,
    { hint: "make the partitions smaller, or match a larger disk (`imageSize` for an image)" },
  );
}

function checkFirmwareLimits(partitions: readonly LaidPartition[], sectorSize: number, disk: string): void {
  for (const { name, type, content, sizeBytes } of partitions) {
    if (type === "bios-boot" && sectorSize !== 512)
      throw new Fail(
        `disk ${disk} has sectors of ${sectorSize} bytes, from which BIOS firmware cannot start GRUB`,
        {
          hint: "leave out the bios-boot partition and start by UEFI",
        },
      );
    // FAT32 is told apart from FAT16 by having at least 65525 clusters, and a cluster is a sector at least.
    const leastBytes = 65_525 * sectorSize + 2 * mib;
    if (content?.type === "vfat" && sizeBytes < leastBytes)
      throw new Fail(`partition ${name} of ${showMib(sizeBytes)} is too small for FAT32 on disk ${disk}`, {
        hint: `make it at least ${Math.ceil(leastBytes / mib)}MiB`,
      });
  }
}

export function showMib(bytes: number): string {
  return `${Math.floor(bytes / mib)} MiB`;
}
