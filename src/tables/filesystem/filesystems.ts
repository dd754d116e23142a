import { btrfs } from "./btrfs.ts";
import { ext4 } from "./ext4.ts";
import { f2fs } from "./f2fs.ts";
import type { Filesystem, SimpleFilesystem } from "./filesystem.ts";
import { vfat } from "./vfat.ts";
import { xfs } from "./xfs.ts";

/** Every filesystem, by the name that kernel, fstab and definitions have for it. A new one is a file beside these and a line here. */
const all = { ext4, xfs, btrfs, f2fs, vfat };

type All = typeof all;
export type FilesystemType = keyof All;
/** Those that one command makes. */
export type SimpleType = {
  [T in FilesystemType]: All[T] extends SimpleFilesystem ? T : never;
}[FilesystemType];
/** Those on which a system's files can lie. */
type SystemType = {
  [T in FilesystemType]: All[T] extends { firmware: true } ? never : T;
}[FilesystemType];

export const filesystems: Readonly<Record<FilesystemType, Filesystem>> = all;
export const filesystemTypes = Object.keys(all) as FilesystemType[];
export const systemTypes = filesystemTypes.filter((type): type is SystemType => !filesystems[type].firmware);
export const simpleTypes = filesystemTypes.filter(isSimple);
export const simpleFilesystems: Readonly<Record<SimpleType, SimpleFilesystem>> = all;

/** Kernel modules that each initramfs has, whatever the root is. */
export const everywhereModules = filesystemTypes.flatMap((type) =>
  filesystems[type].everywhere ? filesystems[type].modules : [],
);

/** Of any content; of one that is no filesystem nothing. */
export function traitsOf(type: string | undefined): Partial<Filesystem> {
  return type !== undefined && isFilesystemType(type) ? filesystems[type] : {};
}

export function isFilesystemType(type: string): type is FilesystemType {
  return Object.hasOwn(all, type);
}

function isSimple(type: FilesystemType): type is SimpleType {
  return "program" in all[type];
}
