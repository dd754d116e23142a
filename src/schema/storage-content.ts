import { z } from "zod";
import {
  filesystems,
  filesystemTypes,
  type SimpleType,
  simpleTypes,
} from "../tables/filesystem/filesystems.ts";
import { Line, Size } from "./words.ts";

/** What a partition, an array, a volume or an opened LUKS volume holds: one node of the storage graph. */

export const Uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "a lower-case UUID");
const VolumeId = z.string().regex(/^[0-9A-F]{4}-[0-9A-F]{4}$/, 'a FAT volume id such as "1A2B-3C4D"');
export const MountPoint = z
  .string()
  .max(1024)
  .regex(/^\/([A-Za-z0-9_.@+-]+(\/[A-Za-z0-9_.@+-]+)*)?$/, "an absolute path without spaces")
  .refine(
    (path) => !path.split("/").some((part) => part === "." || part === ".."),
    "a path without `.` or `..`",
  );
export const MountOption = z.string().regex(/^[A-Za-z0-9_.=:/%@+-]+$/, "one mount option, as in fstab");
/** Names of arrays, groups, volumes, pools and mappings: what device-mapper, mdadm and crypttab all take as it is. */
export const NodeName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,30}$/, "1 to 31 lower-case letters, digits or `_`, a letter first");
export const SecretName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "the name of one of the secrets");

/** A content that exists already and stays: never written, verified before anything else is written. */
const Keep = z.strictObject({
  /** As blkid shows it. */
  uuid: z.union([Uuid, VolumeId]),
  /** Of the partition or volume that holds it; verified when given. */
  size: Size.optional(),
});

const label = (longest: number) =>
  z
    .string()
    .regex(
      new RegExp(`^[A-Za-z0-9_.-]{1,${longest}}$`),
      `1 to ${longest} letters, digits, \`_\`, \`.\` or \`-\``,
    )
    .optional();
const options = z.array(MountOption).default([]);
/** Of new content; left out it derives from the deploy, or for an image from the definition. */
const uuid = Uuid.optional();
const LvmUuid = z
  .string()
  .regex(/^[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}$/, "the UUID of an LVM2_member");

/** What a definition says of any filesystem. */
const filesystem = <T extends SimpleType | "ext4">(type: T) =>
  z.strictObject({
    type: z.literal(type),
    /** Where it is mounted. */
    mount: MountPoint,
    /** Its label. */
    label: label(filesystems[type].longestLabel),
    /** Mount options. */
    options,
    /** Left out, it follows from the deploy, or for an image from the definition. */
    uuid,
    /** It exists already, and stays. */
    keep: Keep.optional(),
  });
export const Ext4 = filesystem("ext4").extend({
  /** Of the root: it cannot be written, and a change on the disk is a read error. Needs a `verity-hash` beside it. */
  verity: z.literal(true).optional(),
});

/** FAT32: an EFI system partition or an extended boot loader partition. */
export const Vfat = z.strictObject({
  type: z.literal("vfat"),
  /** Where it is mounted. */
  mount: MountPoint,
  /** Its label. */
  label: z
    .string()
    .regex(
      new RegExp(`^[A-Z0-9_-]{1,${filesystems.vfat.longestLabel}}$`),
      "1 to 11 capitals, digits, `_` or `-`",
    )
    .optional(),
  /** Mount options. */
  options: z.array(MountOption).default(["umask=0077"]),
  /** Left out, it follows from the deploy, or for an image from the definition. */
  uuid: VolumeId.optional(),
  /** It exists already, and stays. */
  keep: Keep.optional(),
});

const Compression = z
  .string()
  .regex(/^(zstd(:([1-9]|1[0-5]))?|lzo|zlib(:[1-9])?)$/, '"zstd", "zstd:3", "zlib" or "lzo"');
const SubvolumeName = z
  .string()
  .regex(
    /^@?[A-Za-z0-9_.-]{0,60}$/,
    "a name of letters, digits, `_`, `.`, `-`, with or without a leading `@`",
  )
  .refine((name) => !["", ".", ".."].includes(name), "a name");
const Subvolume = z.strictObject({
  /** Where it is mounted; left out: nowhere. */
  mount: MountPoint.optional(),
  /** Mount options. */
  options,
  /** It exists already and stays; of a kept filesystem only. */
  keep: z.literal(true).optional(),
});
const btrfsFields = {
  /** Its label. */
  label: label(filesystems.btrfs.longestLabel),
  /** Where the filesystem itself is mounted; not beside a subvolume at the same place. */
  mount: MountPoint.optional(),
  /** Mount options. */
  options,
  /** Of all files, with or without a level. */
  compression: Compression.optional(),
  /** By name. */
  subvolumes: z.record(SubvolumeName, Subvolume).default({}),
  /** Left out, it follows from the deploy, or for an image from the definition. */
  uuid,
  /** It exists already, and stays. */
  keep: Keep.optional(),
};
export const Btrfs = z.strictObject({ type: z.literal("btrfs"), ...btrfsFields });
/** A btrfs over several members. */
export const Pool = z.strictObject({
  /** How files are spread over the disks. */
  data: z.enum(["single", "raid0", "raid1", "raid10"]).default("raid1"),
  /** The same of what the filesystem keeps for itself. */
  metadata: z.enum(["single", "dup", "raid1", "raid10"]).default("raid1"),
  /** Of the root's pool: the system starts when a disk is missing, after a wait for it. Without it, it does not. */
  startDegraded: z.literal(true).optional(),
  ...btrfsFields,
});

export const Swap = z.strictObject({
  type: z.literal("swap"),
  /** Its label. */
  label: label(15),
  /** Swap of a higher one is used first. */
  priority: z.int().min(0).max(32767).optional(),
  /** Trim freed pages. */
  discard: z.boolean().default(false),
  /** Encrypted by a key that is made at each start and kept nowhere; the mapping's name. */
  randomKey: NodeName.optional(),
  /** Left out, it follows from the deploy, or for an image from the definition. */
  uuid,
  /** It exists already, and stays. */
  keep: Keep.optional(),
});

/** How the new system gets the key. Whichever it is, the secret in `key` opens the volume as well. */
export const Unlock = z.discriminatedUnion("type", [
  /** Asked on the console. */
  z.strictObject({ type: z.literal("passphrase") }),
  /** Read from the file of the secret (its `path`). Not for the root. */
  z.strictObject({ type: z.literal("key-file") }),
  /** By clevis, from the machine's TPM, while the measurements in these registers are the same. */
  z.strictObject({
    type: z.literal("tpm2"),
    pcrs: z.array(z.int().min(0).max(23)).max(24).default([]),
  }),
  /** By clevis, from a tang server in the same network. */
  z.strictObject({
    type: z.literal("tang"),
    /** Without TLS, which tang does not need: it signs its answers, and a request reveals nothing. The initramfs knows no certificates. */
    url: z.url({ protocol: /^http$/, error: "the tang server's http:// URL" }),
    /** Of the server's signing key, as `tang-show-keys` prints it. */
    thumbprint: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "a thumbprint of 43 characters"),
  }),
  /** Over SSH while the machine starts, by dropbear in the initramfs. For what the root needs. */
  z.strictObject({
    type: z.literal("ssh"),
    /** Where it listens; left out: 22. */
    port: z.int().min(1).max(65535).optional(),
    /** Secret with its host key, an ed25519 key of OpenSSH. Left out, each deploy makes one. */
    hostKey: SecretName.optional(),
    /** Who may come, as in authorized_keys; left out: the keys of `root` and of users with `sudo`. */
    keys: z
      .array(Line.regex(/^(ssh-ed25519|ssh-rsa|ecdsa-|sk-)/, "a public key as in authorized_keys"))
      .min(1)
      .optional(),
  }),
]);
/** Costs of trying one passphrase; without it cryptsetup measures the machine that formats. */
const Kdf = z.strictObject({ memory: Size, iterations: z.int().min(4).max(1000) });
const luksFields = {
  type: z.literal("luks"),
  /** Of the mapping: /dev/mapper/NAME. */
  name: NodeName,
  /** Secret whose bytes open it. */
  key: SecretName,
  /** Secret that opens it too, in case the first is lost. */
  recoveryKey: SecretName.optional(),
  /** How the new system opens it. */
  unlock: Unlock.default({ type: "passphrase" }),
  /** Pass trim on to the disk; reveals which blocks are unused. */
  discard: z.boolean().default(false),
  /** More words for crypttab. */
  options,
  /** Costs of trying one passphrase; left out, cryptsetup measures the machine that formats. */
  kdf: Kdf.optional(),
  /** The header is elsewhere, on the partition whose content is `luks-header` with this volume's name. */
  detachedHeader: z.boolean().default(false),
  /** Left out, it follows from the deploy, or for an image from the definition. */
  uuid,
  /** It exists already, and stays. */
  keep: Keep.optional(),
};

/** A member of a volume group of `storage.volumeGroups`. */
export const LvmPv = z.strictObject({
  type: z.literal("lvm-pv"),
  /** The group, by its name in `storage.volumeGroups`. */
  group: NodeName,
  /** Left out, LVM makes one. */
  uuid: LvmUuid.optional(),
  /** The UUID is that of the physical volume, as blkid shows it. */
  keep: z.strictObject({ uuid: LvmUuid, size: Size.optional() }).optional(),
});
/** A member of an array of `storage.arrays`. */
export const MdMember = z.strictObject({ type: z.literal("md-member"), array: NodeName });
/** A member of a filesystem of `storage.pools`. */
export const BtrfsMember = z.strictObject({ type: z.literal("btrfs-member"), pool: NodeName });
/** The header of a LUKS volume whose data has none. */
const LuksHeader = z.strictObject({ type: z.literal("luks-header"), volume: NodeName });

/** The digests of a root with `verity`. */
const VerityHash = z.strictObject({ type: z.literal("verity-hash") });

/** Those of which a definition says more than of any. */
const special = { ext4: Ext4, btrfs: Btrfs, vfat: Vfat };
const simple = Object.fromEntries(simpleTypes.map((type) => [type, filesystem(type)]));
const anyFilesystem = { ...simple, ...special } as typeof special & Record<SimpleType, SimpleSchema>;
const [firstFilesystem, ...moreFilesystems] = filesystemTypes.map((type) => anyFilesystem[type]);
const inLuks = [firstFilesystem!, ...moreFilesystems, Swap, LvmPv, BtrfsMember] as const;
const LuksContent = z.discriminatedUnion("type", inLuks);
export const Luks = z.strictObject({ ...luksFields, content: LuksContent });
export const Content = z.discriminatedUnion("type", [...inLuks, Luks, MdMember, LuksHeader, VerityHash]);

export type Content = z.output<typeof Content>;
export type Ext4 = z.output<typeof Ext4>;
type SimpleSchema = ReturnType<typeof filesystem<SimpleType>>;
export type Simple = z.output<SimpleSchema>;
export type SimpleInput = z.input<SimpleSchema>;
export type Vfat = z.output<typeof Vfat>;
export type Btrfs = z.output<typeof Btrfs>;
export type Pool = z.output<typeof Pool>;
export type Swap = z.output<typeof Swap>;
export type Luks = z.output<typeof Luks>;
export type Unlock = z.output<typeof Unlock>;
export type UnlockBySsh = Extract<Unlock, { type: "ssh" }>;
export type LvmPv = z.output<typeof LvmPv>;
export type MdMember = z.output<typeof MdMember>;
export type BtrfsMember = z.output<typeof BtrfsMember>;
