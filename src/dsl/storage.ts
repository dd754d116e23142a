import type { z } from "zod";
import type {
  KeptDisk,
  MdArray,
  Partition,
  Storage,
  Volume,
  VolumeGroup,
  WrittenDisk,
} from "../schema/storage.ts";
import type {
  Btrfs,
  BtrfsMember,
  Ext4,
  Luks,
  LvmPv,
  MdMember,
  Pool,
  SimpleInput,
  Swap,
  Vfat,
} from "../schema/storage-content.ts";

type DiskInput = z.input<typeof WrittenDisk>;
type KeptDiskInput = z.input<typeof KeptDisk>;
type KeptInput = Exclude<KeptDiskInput["keep"][number], { type: "luks" }>;
type PartitionInput = z.input<typeof Partition>;
type Ext4Input = z.input<typeof Ext4>;
type VfatInput = z.input<typeof Vfat>;
type Untyped<T> = Omit<T, "type">;

/** A disk whose partitions and filesystems every deploy makes anew, except those with `keep`. */
export function disk(input: DiskInput): DiskInput {
  return input;
}

/** A disk that a deploy never writes; its filesystems are found by UUID and mounted. */
export function keptDisk(input: KeptDiskInput): KeptDiskInput {
  return input;
}

/** An ext4 filesystem that is already on a kept disk. */
export function keptExt4(input: Untyped<KeptInput>): KeptInput {
  return { ...input, type: "ext4" };
}

/** A GPT partition table, partitions in their order on the disk. */
export function gpt(...partitions: PartitionInput[]): DiskInput["table"] {
  return { type: "gpt", partitions };
}

/** An MBR partition table of up to four primary partitions. */
export function mbr(...partitions: PartitionInput[]): DiskInput["table"] {
  return { type: "mbr", partitions };
}

export function partition(input: PartitionInput): PartitionInput {
  return input;
}

/** Where GRUB's core image is on a machine with BIOS firmware. */
export function biosBoot(input: Partial<PartitionInput> = {}): PartitionInput {
  return { name: "bios", type: "bios-boot", size: "1MiB", ...input };
}

/** The EFI system partition, with kernels and boot entries, mounted at /efi. */
export function esp(
  input: { name?: string; size?: PartitionInput["size"] } & Partial<Untyped<VfatInput>> = {},
): PartitionInput {
  const { name = "esp", size = "256MiB", mount = "/efi", ...content } = input;
  return { name, type: "esp", size, content: vfat({ mount, ...content }) };
}

/** An extended boot loader partition, mounted at /xbootldr: it has kernels and boot entries, the ESP only the loader. */
export function xbootldr(
  input: { name?: string; size?: PartitionInput["size"] } & Partial<Untyped<VfatInput>> = {},
): PartitionInput {
  const { name = "xbootldr", size = "512MiB", mount = "/xbootldr", ...content } = input;
  return { name, type: "xbootldr", size, content: vfat({ mount, ...content }) };
}

/** The root filesystem: ext4, and the rest of the disk unless a size is given. */
export function root(
  input: { name?: string; size?: PartitionInput["size"] } & Partial<Omit<Ext4Input, "type" | "mount">> = {},
): PartitionInput {
  const { name = "root", size = "rest", ...content } = input;
  return { name, type: "linux-root", size, content: ext4({ mount: "/", ...content }) };
}

/** The digests of a root with `verity`; it takes the 126th part of the root's size, and a little. */
export function rootVerity(input: { name?: string; size?: PartitionInput["size"] } = {}): PartitionInput {
  const { name = "root-verity", size = "64MiB" } = input;
  return { name, type: "linux-root-verity", size, content: { type: "verity-hash" } };
}

export function ext4(input: Untyped<Ext4Input>): Ext4Input {
  return { ...input, type: "ext4" };
}

export function vfat(input: Untyped<VfatInput>): VfatInput {
  return { ...input, type: "vfat" };
}

export function xfs(input: Untyped<SimpleInput>): SimpleInput {
  return { ...input, type: "xfs" };
}

export function f2fs(input: Untyped<SimpleInput>): SimpleInput {
  return { ...input, type: "f2fs" };
}

/** A btrfs on one device; with subvolumes each mounted at a place of its own. */
export function btrfs(input: Untyped<z.input<typeof Btrfs>>): z.input<typeof Btrfs> {
  return { ...input, type: "btrfs" };
}

export function swap(input: Untyped<z.input<typeof Swap>> = {}): z.input<typeof Swap> {
  return { ...input, type: "swap" };
}

/** An encrypted volume, opened by the secret that `key` names. */
export function luks(input: Untyped<z.input<typeof Luks>>): z.input<typeof Luks> {
  return { ...input, type: "luks" };
}

/** A member of a volume group of `storage.volumeGroups`. */
export function lvmPv(group: string): z.input<typeof LvmPv> {
  return { type: "lvm-pv", group };
}

/** A member of an array of `storage.arrays`. */
export function mdMember(array: string): z.input<typeof MdMember> {
  return { type: "md-member", array };
}

/** A member of a btrfs of `storage.pools`. */
export function btrfsMember(pool: string): z.input<typeof BtrfsMember> {
  return { type: "btrfs-member", pool };
}

/** An md array; its members are contents by `mdMember`. */
export function raid(level: 0 | 1 | 5 | 6 | 10, input: Omit<MdArrayInput, "level">): MdArrayInput {
  return { level, ...input };
}
type MdArrayInput = z.input<typeof MdArray>;

/** Volumes of an LVM group, in the order in which they are made. */
export function volumeGroup(volumes: Record<string, z.input<typeof Volume>>): z.input<typeof VolumeGroup> {
  return { volumes };
}

/** A btrfs over several members. */
export function pool(input: z.input<typeof Pool>): z.input<typeof Pool> {
  return input;
}

/** The whole storage of a definition; changes nothing, but helps an editor. */
export function storage(input: z.input<typeof Storage>): z.input<typeof Storage> {
  return input;
}
