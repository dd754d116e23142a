/** What follows from the type of a filesystem, as data. What a definition may say of it is in `schema/storage-content`. */
export interface Filesystem {
  /** Debian packages of a system that has one. */
  readonly packages: readonly string[];
  /** Kernel modules, by the names of their files. */
  readonly modules: readonly string[];
  /** GRUB's modules that read it; they are in the core image, wherever /boot is. */
  readonly grubModules: readonly string[];
  /** In characters. */
  readonly longestLabel: number;
  /** Looked through by fsck at each start; else its own kernel code does so when it is mounted. */
  readonly fsck: boolean;
  /** Where its mark and its UUID are, in bytes. */
  readonly superblock?: { readonly markAt: number; readonly mark: Uint8Array; readonly uuidAt: number };
  /** Options with which it is mounted while a tree is made on it. */
  readonly buildOptions: readonly string[];
  /** Options in fstab where it is the root. */
  readonly rootOptions?: readonly string[];
  /** Read by firmware; it knows neither owners nor modes, so no files of a system lie on it. */
  readonly firmware?: true;
  /** Each initramfs has its module and tries it without being asked. */
  readonly everywhere?: true;
  /** A swap file on it would need more than a file. */
  readonly noSwapFile?: true;
  /** Fewer bytes are too few on a disk of sectors of this size. */
  readonly leastBytes?: (sectorSize: number) => number;
}

/** One whose partitions are made by one command, and of which a definition says a label, a UUID and mount options alone. */
export interface SimpleFilesystem extends Filesystem {
  readonly program: `mkfs.${string}`;
  /** Its words before the device. */
  readonly args: (uuid: string, label: string | undefined) => string[];
}
