import { z } from "zod";
import { Size } from "./size.ts";

const Uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "a lower-case UUID");
const Label = z.string().regex(/^[A-Za-z0-9_.-]{1,16}$/, "1 to 16 letters, digits, `_`, `.` or `-`");
const MountPoint = z
  .string()
  .regex(/^\/([A-Za-z0-9_.@+-]+(\/[A-Za-z0-9_.@+-]+)*)?$/, "an absolute path without spaces")
  .refine(
    (path) => !path.split("/").some((part) => part === "." || part === ".."),
    "a path without `.` or `..`",
  );
const MountOption = z.string().regex(/^[A-Za-z0-9_.=:/%-]+$/, "one mount option, as in fstab");

/** How a disk is recognised; every property given must match, and exactly one disk may match. Never by kernel name. */
export const DiskMatch = z
  .strictObject({
    serial: z.string().min(1).max(128).optional(),
    wwn: z.string().min(1).max(128).optional(),
    model: z.string().min(1).max(128).optional(),
    minSize: Size.optional(),
    maxSize: Size.optional(),
  })
  .refine((match) => match.serial !== undefined || match.wwn !== undefined, "needs `serial` or `wwn`");

export const Ext4 = z.strictObject({
  type: z.literal("ext4"),
  mount: MountPoint,
  label: Label.optional(),
  options: z.array(MountOption).default([]),
});

/** A FAT32 EFI system partition's content. */
export const Vfat = z.strictObject({
  type: z.literal("vfat"),
  mount: MountPoint,
  label: z
    .string()
    .regex(/^[A-Z0-9_-]{1,11}$/, "1 to 11 capitals, digits, `_` or `-`")
    .optional(),
  options: z.array(MountOption).default(["umask=0077"]),
});

export const Partition = z.strictObject({
  /** GPT partition name, unique in its table. */
  name: Label,
  type: z.enum(["bios-boot", "esp", "linux", "linux-root"]),
  /** Absolute, or "rest" (last partition only). */
  size: z.union([Size, z.literal("rest")]),
  content: z.discriminatedUnion("type", [Ext4, Vfat]).optional(),
});

/** A disk whose table and filesystems are made anew. */
export const WrittenDisk = z.strictObject({
  match: DiskMatch,
  /** Size of this disk in an offline image. */
  imageSize: Size.default(4096 * 1024 * 1024),
  table: z.strictObject({ type: z.literal("gpt"), partitions: z.array(Partition).min(1).max(128) }),
});

/** A disk that is never written by a deploy; its filesystems are recognised by UUID and mounted. */
export const KeptDisk = z.strictObject({
  match: DiskMatch,
  keep: z
    .array(
      z.strictObject({
        type: z.enum(["ext4"]),
        uuid: Uuid,
        mount: MountPoint,
        options: z.array(MountOption).default(["nofail", "x-systemd.device-timeout=30s"]),
      }),
    )
    .min(1),
});

const DiskName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "a name of lower-case letters, digits and `-`");

export const Storage = z.strictObject({
  disks: z.record(DiskName, z.union([WrittenDisk, KeptDisk])),
  /** A swap file on the root filesystem. */
  swapFile: z.strictObject({ path: MountPoint.default("/swapfile"), size: Size }).optional(),
});

export type Storage = z.output<typeof Storage>;
export type WrittenDisk = z.output<typeof WrittenDisk>;
export type KeptDisk = z.output<typeof KeptDisk>;
export type Partition = z.output<typeof Partition>;
export type DiskMatch = z.output<typeof DiskMatch>;
