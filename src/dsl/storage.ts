import type { z } from "zod";
import type { Ext4, KeptDisk, Partition, Vfat, WrittenDisk } from "../schema/storage.ts";

type DiskInput = z.input<typeof WrittenDisk>;
type KeptDiskInput = z.input<typeof KeptDisk>;
type KeptInput = KeptDiskInput["keep"][number];
type PartitionInput = z.input<typeof Partition>;
type Ext4Input = z.input<typeof Ext4>;
type VfatInput = z.input<typeof Vfat>;

/** A disk whose partitions and filesystems are made anew by every deploy. */
export function disk(input: DiskInput): DiskInput {
  return input;
}

/** A disk that a deploy never writes; its filesystems are found by UUID and mounted. */
export function keptDisk(input: KeptDiskInput): KeptDiskInput {
  return input;
}

/** An ext4 filesystem that is already on a kept disk. */
export function keptExt4(input: Omit<KeptInput, "type">): KeptInput {
  return { ...input, type: "ext4" };
}

/** A GPT partition table, partitions in the order in which they lie on the disk. */
export function gpt(...partitions: PartitionInput[]): DiskInput["table"] {
  return { type: "gpt", partitions };
}

export function partition(input: PartitionInput): PartitionInput {
  return input;
}

/** Where GRUB's core image lives on a machine with BIOS firmware. */
export function biosBoot(input: Partial<PartitionInput> = {}): PartitionInput {
  return { name: "bios", type: "bios-boot", size: "1MiB", ...input };
}

/** The EFI system partition, with kernels and boot entries, mounted at /efi. */
export function esp(
  input: { name?: string; size?: PartitionInput["size"] } & Partial<Omit<VfatInput, "type">> = {},
): PartitionInput {
  const { name = "esp", size = "256MiB", mount = "/efi", ...content } = input;
  return { name, type: "esp", size, content: vfat({ mount, ...content }) };
}

/** The root filesystem: ext4, and the rest of the disk unless a size is given. */
export function root(
  input: { name?: string; size?: PartitionInput["size"] } & Partial<Omit<Ext4Input, "type" | "mount">> = {},
): PartitionInput {
  const { name = "root", size = "rest", ...content } = input;
  return { name, type: "linux-root", size, content: ext4({ mount: "/", ...content }) };
}

export function ext4(input: Omit<Ext4Input, "type">): Ext4Input {
  return { ...input, type: "ext4" };
}

export function vfat(input: Omit<VfatInput, "type">): VfatInput {
  return { ...input, type: "vfat" };
}
