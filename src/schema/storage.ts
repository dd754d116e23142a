import { z } from "zod";
import { systemTypes } from "../tables/filesystem/filesystems.ts";
import {
  Content,
  MountOption,
  MountPoint,
  NodeName,
  Pool,
  SecretName,
  Unlock,
  Uuid,
} from "./storage-content.ts";
import { Size } from "./words.ts";

const Words = z.string().min(1).max(128);

/**
 * How a disk is recognised; every property given must match, and exactly one disk may match. Never by kernel name. What was seen
 * of it, including its size, is compared once more before anything is written.
 */
export const DiskMatch = z
  .strictObject({
    /** As `lsblk -o NAME,SERIAL` shows it. */
    serial: Words.optional(),
    /** As `lsblk -o NAME,WWN` shows it. */
    wwn: Words.optional(),
    /** A name in /dev/disk/by-id. */
    byId: z
      .string()
      .regex(/^[A-Za-z0-9_.:+@=-]{1,200}$/, "a name as in /dev/disk/by-id")
      .optional(),
    /** A name in /dev/disk/by-path: the port that the disk is plugged into. */
    path: z
      .string()
      .regex(/^[A-Za-z0-9_.:+@=-]{1,200}$/, "a name as in /dev/disk/by-path")
      .optional(),
    /** UUID (GPT) or identifier (MBR, eight hexadecimal digits) of the partition table that is on it now. */
    tableUuid: z.union([Uuid, z.string().regex(/^[0-9a-f]{8}$/, "eight hexadecimal digits")]).optional(),
    /** Its model, besides one of those above. */
    model: Words.optional(),
    /** At least so large. */
    minSize: Size.optional(),
    /** At most so large. */
    maxSize: Size.optional(),
  })
  .refine(
    ({ serial, wwn, byId, path, tableUuid }) =>
      [serial, wwn, byId, path, tableUuid].some((one) => one !== undefined),
    "needs `serial` or `wwn`, or `byId`, `path` or `tableUuid`",
  );
/** Which disk is meant on another machine than the usual one. */
const Alternatives = z
  .array(
    DiskMatch.refine(
      ({ tableUuid }) => tableUuid === undefined,
      "something that another machine's disk has before it is written: `serial`, `wwn`, `byId` or `path`",
    ),
  )
  .min(1)
  .optional();

/** Partition types by name; the GUIDs are those of the UAPI Discoverable Partitions Specification, for x86-64. */
const PartitionType = z.enum([
  "bios-boot",
  "esp",
  "xbootldr",
  "linux",
  "linux-root",
  "linux-usr",
  "linux-home",
  "linux-srv",
  "linux-var",
  "linux-tmp",
  "linux-swap",
  "linux-root-verity",
  "linux-lvm",
  "linux-raid",
  "linux-luks",
]);
const Percent = z
  .string()
  .regex(/^([1-9][0-9]?|100)%$/, 'a size such as "20GiB", a share such as "50%", or "rest"');
const Flexible = z
  .strictObject({ min: Size.optional(), max: Size.optional() })
  .refine(({ min = 0, max = Infinity }) => min <= max, "a `min` that is not above `max`");

export const Partition = z.strictObject({
  /** GPT partition name, unique in its table. */
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,36}$/, "1 to 36 letters, digits, `_`, `.` or `-`"),
  /** What it is for. */
  type: PartitionType,
  /** Type GUID in place of the one that `type` stands for. */
  typeGuid: Uuid.optional(),
  /** Absolute, a share of the disk, from `min` to `max`, or "rest" (last partition only). Left out for what is kept. */
  size: z.union([Size, z.literal("rest"), Percent, Flexible]).optional(),
  /** First byte at a multiple of it. */
  align: Size.optional(),
  /** GPT attributes. */
  attributes: z
    .array(z.enum(["required", "legacy-boot", "no-auto", "read-only", "grow-fs"]))
    .max(5)
    .optional(),
  /** MBR: the partition whose boot sector a simple loader starts. */
  active: z.boolean().optional(),
  /** What is on it. */
  content: Content.optional(),
});

/** Of a disk without a declared size. */
export const defaultImageSize = 4096 * 1024 * 1024;

/** A disk whose table and filesystems are made anew, except partitions with `keep`. */
export const WrittenDisk = z.strictObject({
  /** Which disk it is. */
  match: DiskMatch,
  /** Where the machine has no such disk: the first of these that finds any decides. For a spare machine, or other hardware. */
  alternatives: Alternatives,
  /** Size of this disk in an offline image. */
  imageSize: Size.default(defaultImageSize),
  /** The partition table. */
  table: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("gpt"), partitions: z.array(Partition).min(1).max(128) }),
    z.strictObject({ type: z.literal("mbr"), partitions: z.array(Partition).min(1).max(4) }),
  ]),
});

const keptOptions = z.array(MountOption).default(["nofail"]);
const KeptFilesystem = z.strictObject({
  /** The filesystem that is there. */
  type: z.enum(systemTypes),
  /** As blkid shows it. */
  uuid: Uuid,
  /** Where it is mounted. */
  mount: MountPoint,
  options: keptOptions,
});
const KeptLuks = z.strictObject({
  type: z.literal("luks"),
  /** Of the LUKS header, as blkid shows it. */
  uuid: Uuid,
  /** Of the mapping: /dev/mapper/NAME. */
  name: NodeName,
  /** Secret whose bytes open it. */
  key: SecretName,
  /** How the new system opens it. */
  unlock: Unlock.default({ type: "passphrase" }),
  /** What is in it. */
  content: KeptFilesystem,
});

/** A disk that is never written by a deploy; its filesystems are recognised by UUID and mounted. */
export const KeptDisk = z.strictObject({
  /** Which disk it is. */
  match: DiskMatch,
  /** Where the machine has no such disk: the first of these that finds any decides. For a spare machine, or other hardware. */
  alternatives: Alternatives,
  /** Its filesystems that are mounted. */
  keep: z.array(z.discriminatedUnion("type", [KeptFilesystem, KeptLuks])).min(1),
});

const DiskName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "a name of lower-case letters, digits and `-`");

/** An md array; its members are contents of the type `md-member`. */
export const MdArray = z.strictObject({
  /** The RAID level. */
  level: z.union([z.literal(0), z.literal(1), z.literal(5), z.literal(6), z.literal(10)]),
  /** "1.0" is at the end, so that firmware reads each member of a mirrored ESP as if there were no array. */
  metadata: z.enum(["1.0", "1.2"]).default("1.2"),
  /** What is on it. */
  content: Content,
});

const VolumeSize = z.union([Size, Percent, z.literal("rest")]);
export const Volume = z.strictObject({
  /** Absolute, a share of the group, or "rest" (last volume only). Left out for what is kept. */
  size: VolumeSize.optional(),
  /** How it is laid on the group's disks. */
  kind: z.enum(["linear", "striped", "raid1", "thin-pool", "thin"]).default("linear"),
  /** Of a striped volume; of a raid1 the copies. */
  over: z.int().min(2).max(16).optional(),
  /** Of a thin volume: the thin-pool of the same group. */
  pool: NodeName.optional(),
  /** What is on it. */
  content: Content.optional(),
});
export const VolumeGroup = z.strictObject({ volumes: z.record(NodeName, Volume) });

export const Storage = z.strictObject({
  /** Disks by a name of your choice: those that are written, and those that are kept. */
  disks: z.record(DiskName, z.union([WrittenDisk, KeptDisk])),
  /** md arrays by name. */
  arrays: z.record(NodeName, MdArray).default({}),
  /** LVM by name. */
  volumeGroups: z.record(NodeName, VolumeGroup).default({}),
  /** btrfs filesystems over several members. */
  pools: z.record(NodeName, Pool).default({}),
  /** A swap file on the root filesystem. */
  swapFile: z.strictObject({ path: MountPoint.default("/swapfile"), size: Size }).optional(),
  /** Compressed swap in memory. */
  zram: z
    .strictObject({
      /** Share of the memory that it may hold, uncompressed. */
      percent: z.int().min(1).max(200).default(50),
      /** How it compresses. */
      algorithm: z.enum(["zstd", "lzo-rle", "lz4"]).default("zstd"),
      /** Swap of a higher one is used first. */
      priority: z.int().min(0).max(32767).default(100),
    })
    .optional(),
  /** Filesystems in memory, by mount point. */
  tmpfs: z
    .record(
      MountPoint,
      z.strictObject({ size: z.union([Size, Percent]), options: z.array(MountOption).default([]) }),
    )
    .default({}),
  /** Directories mounted at another place too, by that place. */
  binds: z
    .record(MountPoint, z.strictObject({ from: MountPoint, options: z.array(MountOption).default([]) }))
    .default({}),
  /**
   * Directories of a root with `verity` that can be written all the same, by path. Changes are in `upper`: a directory of another
   * filesystem; or "memory", where they are gone at the next start.
   */
  overlays: z
    .record(MountPoint, z.strictObject({ upper: z.union([z.literal("memory"), MountPoint]) }))
    .optional(),
});

export type Storage = z.output<typeof Storage>;
export type WrittenDisk = z.output<typeof WrittenDisk>;
export type KeptDisk = z.output<typeof KeptDisk>;
export type Partition = z.output<typeof Partition>;
export type DiskMatch = z.output<typeof DiskMatch>;
export type MdArray = z.output<typeof MdArray>;
export type Volume = z.output<typeof Volume>;
export type VolumeGroup = z.output<typeof VolumeGroup>;
