import { createHash } from "node:crypto";
import type { WrittenDisk } from "../../schema/storage.ts";
import { uuidFrom } from "../../util/digest.ts";

/** Every identifier of the new disks derives from one seed, so that fstab, boot entries and mkfs agree without asking each other. */

export function diskUuid(seed: string, disk: string): string {
  return uuidFrom(seed, `disk ${disk}`);
}

export function partitionUuid(seed: string, disk: string, partition: string): string {
  return uuidFrom(seed, `partition ${disk} ${partition}`);
}

/** UUID of an ext4 filesystem. */
export function filesystemUuid(seed: string, disk: string, partition: string): string {
  return uuidFrom(seed, `filesystem ${disk} ${partition}`);
}

/** Seed of an ext4 filesystem's directory hash; random by default, which would make every image differ. */
export function hashSeed(seed: string, disk: string, partition: string): string {
  return uuidFrom(seed, `hash seed ${disk} ${partition}`);
}

/** Volume id of a FAT filesystem: eight hexadecimal digits, as mkfs.vfat takes it. */
export function vfatVolumeId(seed: string, disk: string, partition: string): string {
  const digest = createHash("sha256").update(`${seed}\0vfat ${disk} ${partition}`).digest("hex");
  return digest.slice(0, 8);
}

/** The same as the kernel and fstab know it: "1A2B-3C4D". */
export function vfatUuid(volumeId: string): string {
  return `${volumeId.slice(0, 4)}-${volumeId.slice(4)}`.toUpperCase();
}

export function swapUuid(seed: string): string {
  return uuidFrom(seed, "swap file");
}

/**
 * Identifier of a disk's new table. That by which the definition matches the disk stays, so that it matches it the next time too; where
 * the new table is of the other kind, one that derives from it alone.
 */
export function tableId(disk: Pick<WrittenDisk, "match" | "table">, seed: string, name: string): string {
  const { tableUuid } = disk.match;
  const isGpt = disk.table.type === "gpt";
  if (tableUuid === undefined) return isGpt ? diskUuid(seed, name) : mbrId(seed, name);
  if (tableUuid.length > 8 === isGpt) return tableUuid;
  return isGpt ? diskUuid(tableUuid, "") : mbrId(tableUuid, "");
}

/** UUID of anything else that has one: swap areas, LUKS headers, arrays, pools. */
export function contentUuid(seed: string, what: string, scope: string, name: string): string {
  return uuidFrom(seed, `${what} ${scope} ${name}`);
}

/** Identifier of an MBR: eight hexadecimal digits, not all zero. */
export function mbrId(seed: string, disk: string): string {
  const id = createHash("sha256").update(`${seed}\0mbr ${disk}`).digest("hex").slice(0, 8);
  return id === "00000000" ? "00000001" : id;
}
