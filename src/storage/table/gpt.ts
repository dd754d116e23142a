import { type Extent, mib, placeAll, showMib } from "../../disks/place-partitions.ts";
import type { PartitionFacts } from "../../schema/facts.ts";
import type { Partition, WrittenDisk } from "../../schema/storage.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { Fail } from "../../util/fail.ts";
import { keepOf } from "../graph/graph.ts";
import { partitionUuid, tableId } from "../graph/ids.ts";

/** Room for the partition entries: 128 of 128 bytes, whatever the sector size. */
const entryBytes = 128 * 128;
/** An MBR counts sectors in 32 bits. */
const mbrSectors = 2 ** 32;

const { partitionTypes: own } = onlyArchitecture;
/** Type GUIDs, from the UAPI Discoverable Partitions Specification; and the types of an MBR. */
export const partitionTypes: Readonly<Record<Partition["type"], readonly [guid: string, mbr: string]>> = {
  // In an MBR it is refused by the check of the table.
  "bios-boot": ["21686148-6449-6E6F-744E-656564454649", ""],
  esp: ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef"],
  xbootldr: ["BC13C2FF-59E6-4262-A352-B275FD6F7172", "ea"],
  linux: ["0FC63DAF-8483-4772-8E79-3D69D8477DE4", "83"],
  "linux-root": [own["linux-root"], "83"],
  "linux-usr": [own["linux-usr"], "83"],
  "linux-home": ["933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "83"],
  "linux-srv": ["3B8F8425-20E0-4F3B-907F-1A25A76F98E8", "83"],
  "linux-var": ["4D21B016-B534-45C2-A9FB-5C16E091FD2D", "83"],
  "linux-tmp": ["7EC6F557-3BC5-4ACA-B293-16EF5DF639D1", "83"],
  "linux-swap": ["0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "82"],
  "linux-root-verity": [own["linux-root-verity"], "83"],
  "linux-lvm": ["E6D6D379-F507-44C2-A23C-238F2A3DF928", "8e"],
  "linux-raid": ["A19D880F-05FC-4D3B-A006-743F0F84911E", "fd"],
  "linux-luks": ["CA7D7CCB-63ED-4C53-861C-1742536059CC", "e8"],
};
/** Attribute bits as sfdisk names them. */
const attributeWords = {
  required: "RequiredPartition",
  "legacy-boot": "LegacyBIOSBootable",
  "no-auto": "GUID:63",
  "read-only": "GUID:60",
  "grow-fs": "GUID:59",
} as const;

export interface LaidPartition {
  readonly name: string;
  /** Counted from 1; the partition's node is found by it. */
  readonly number: number;
  readonly type: Partition["type"];
  /** GUID, or the two hexadecimal digits of an MBR. */
  readonly typeGuid: string;
  /** As in /dev/disk/by-partuuid. */
  readonly partUuid: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
  readonly content: Partition["content"];
  /** Its bytes stay; so does its place. */
  readonly kept: boolean;
  readonly attributes: readonly (keyof typeof attributeWords)[];
  readonly active: boolean;
}

export interface Layout {
  readonly disk: string;
  readonly table: "gpt" | "mbr";
  /** Of an MBR eight hexadecimal digits. */
  readonly diskUuid: string;
  readonly sizeBytes: number;
  readonly sectorSize: number;
  readonly partitions: readonly LaidPartition[];
}

/**
 * Where each partition of a disk lies: from 1 MiB on, in order, aligned, without touching the backup table. What is kept is looked
 * for in `existing`, the partitions that the disk has now, and the others go around it.
 */
export function layoutOf(
  disk: WrittenDisk,
  sizeBytes: number,
  sectorSize: number,
  ids: { readonly seed: string; readonly name: string },
  existing?: readonly PartitionFacts[],
): Layout {
  const { name: diskName, seed } = ids;
  if (sectorSize !== 512 && sectorSize !== 4096)
    throw new Fail(`disk ${diskName} has sectors of ${sectorSize} bytes; 512 and 4096 are supported`);
  const { type: table, partitions: declarations } = disk.table;
  const id = tableId(disk, seed, diskName);
  const extentsKept = declarations.map((partition) => keptExtent(partition, existing, diskName));
  const extents = placeAll(declarations, extentsKept, {
    end: usableEnd(sizeBytes, sectorSize, table),
    sizeBytes,
    disk: diskName,
  });
  const partitions = declarations.map((partition, index): LaidPartition => {
    const number = index + 1;
    const { startBytes, sizeBytes: size } = extents[index]!;
    const [guid, mbr] = partitionTypes[partition.type];
    const partUuid =
      table === "mbr"
        ? `${id}-${String(number).padStart(2, "0")}`
        : (ownUuid(extentsKept[index]?.partUuid) ?? partitionUuid(seed, diskName, partition.name));
    return {
      name: partition.name,
      number,
      type: partition.type,
      typeGuid: table === "gpt" ? (partition.typeGuid?.toUpperCase() ?? guid) : mbr,
      partUuid,
      startBytes,
      sizeBytes: size,
      content: partition.content,
      kept: extentsKept[index] !== undefined,
      attributes: partition.attributes ?? [],
      active: partition.active ?? false,
    };
  });
  checkFirmwareLimits(partitions, sectorSize, diskName);
  return { disk: diskName, table, diskUuid: id, sizeBytes, sectorSize, partitions };
}

/** First byte, a multiple of 1 MiB, that no partition may reach: behind it lie a GPT's backup entries and header. */
export function usableEnd(sizeBytes: number, sectorSize: number, table: "gpt" | "mbr"): number {
  if (table === "mbr") return Math.floor(Math.min(sizeBytes, mbrSectors * sectorSize) / mib) * mib;
  return Math.floor((sizeBytes - entryBytes - sectorSize) / mib) * mib;
}

/** The whole table as sfdisk reads it on stdin: nothing is left to its defaults. */
export function sfdiskScript(layout: Layout): string {
  const { sectorSize, table } = layout;
  const lines = [
    `label: ${table === "gpt" ? "gpt" : "dos"}`,
    `label-id: ${table === "gpt" ? layout.diskUuid.toUpperCase() : `0x${layout.diskUuid}`}`,
    "unit: sectors",
    ...(table === "gpt" ? [`first-lba: ${mib / sectorSize}`] : []),
    `sector-size: ${sectorSize}`,
    "",
    ...layout.partitions.map((partition) =>
      [
        `${partition.number} : start=${partition.startBytes / sectorSize}`,
        `size=${partition.sizeBytes / sectorSize}`,
        `type=${partition.typeGuid}`,
        ...(table === "gpt" ? [`uuid=${partition.partUuid.toUpperCase()}`, `name="${partition.name}"`] : []),
        ...(partition.attributes.length === 0
          ? []
          : [`attrs="${partition.attributes.map((attribute) => attributeWords[attribute]).join(" ")}"`]),
        ...(partition.active ? ["bootable"] : []),
      ].join(", "),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function keptExtent(
  partition: Partition,
  existing: readonly PartitionFacts[] | undefined,
  disk: string,
): (Extent & { readonly partUuid: string | undefined }) | undefined {
  const keep = keepOf(partition.content);
  if (keep === undefined) return undefined;
  const facts = existing?.find(({ uuid }) => uuid?.toLowerCase() === keep.uuid.toLowerCase());
  if (facts === undefined)
    throw new Fail(
      `partition ${partition.name} of disk ${disk} is kept, but no partition has the UUID ${keep.uuid}`,
      { hint: "compare with `blkid` on the host; nothing was written" },
    );
  const { startBytes, sizeBytes, partUuid } = facts;
  const size = keep.size ?? (typeof partition.size === "number" ? partition.size : undefined);
  if (size !== undefined && size !== sizeBytes)
    throw new Fail(
      `partition ${partition.name} of disk ${disk} is kept and should have ${size} bytes; it has ${sizeBytes}`,
    );
  return { startBytes, sizeBytes, partUuid };
}

/** Of a partition that is kept from an MBR there is none that a GPT could have. */
function ownUuid(partUuid: string | undefined): string | undefined {
  return partUuid?.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i)?.[0];
}

function checkFirmwareLimits(partitions: readonly LaidPartition[], sectorSize: number, disk: string): void {
  for (const { name, type, content, sizeBytes, kept } of partitions) {
    if (type === "bios-boot" && sectorSize !== 512)
      throw new Fail(
        `disk ${disk} has sectors of ${sectorSize} bytes, from which BIOS firmware cannot start GRUB`,
        {
          hint: "leave out the bios-boot partition and start by UEFI",
        },
      );
    const leastBytes = kept ? 0 : (traitsOf(content?.type).leastBytes?.(sectorSize) ?? 0);
    if (sizeBytes < leastBytes)
      throw new Fail(
        `partition ${name} of ${showMib(sizeBytes)} is too small for ${content?.type} on disk ${disk}`,
        {
          hint: `make it at least ${Math.ceil(leastBytes / mib)}MiB`,
        },
      );
  }
}
