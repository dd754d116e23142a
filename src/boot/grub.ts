import { filesystems, filesystemTypes } from "../tables/filesystem/filesystems.ts";
import { Fail } from "../util/fail.ts";

/**
 * Offsets from GRUB's include/grub/i386/pc/boot.h and include/grub/offsets.h. boot.img is the first sector of a disk; it
 * loads the first sector of the core image, whose last entry says where the rest of it is.
 */
const sectorBytes = 512;
const kernelSectorAt = 0x5c;
const driveCheckAt = 0x66;
/** After the boot code come the disk's signature and the partition table, which stay as they are. */
export const bootCodeBytes = 0x1b8;
const blocklistEntryBytes = 12;

/** GRUB modules of the core image: all that a menu needs wherever /boot is, so that no module is read from a disk. */
export const grubModules = [
  "biosdisk",
  "part_gpt",
  "part_msdos",
  ...filesystemTypes.flatMap((type) => filesystems[type].grubModules),
  "lvm",
  "diskfilter",
  "mdraid1x",
  "search_fs_uuid",
  "normal",
  "linux",
  "configfile",
  "echo",
  "test",
  "serial",
  "terminal",
  "sleep",
  "reboot",
  "halt",
];

/** The boot code for the first sector, pointing to the core image at `startBytes` of the same disk. */
export function bootCode(bootImage: Uint8Array, startBytes: number): Buffer {
  if (bootImage.length !== sectorBytes)
    throw new Fail(`GRUB's boot.img has ${bootImage.length} bytes instead of 512`);
  const code = Buffer.from(bootImage);
  code.writeBigUInt64LE(BigInt(startBytes / sectorBytes), kernelSectorAt);
  // The firmware's drive number is believed: the jump over the correction for faulty ones becomes two nops.
  code.writeUInt16LE(0x9090, driveCheckAt);
  return code.subarray(0, bootCodeBytes);
}

/** The core image as it is at `startBytes`: its first sector knows where the others are. */
export function placedCore(core: Uint8Array, startBytes: number, roomBytes: number): Buffer {
  if (core.length > roomBytes)
    throw new Fail(
      `GRUB's core image of ${core.length} bytes does not fit the ${roomBytes} bytes that it has on the disk`,
      {
        hint: "make the bios-boot partition 1MiB, or let the first partition begin at 1 MiB",
      },
    );
  const placed = Buffer.alloc(Math.ceil(core.length / sectorBytes) * sectorBytes);
  Buffer.from(core).copy(placed);
  placed.writeBigUInt64LE(BigInt(startBytes / sectorBytes + 1), sectorBytes - blocklistEntryBytes);
  return placed;
}

/** Where the boot code of a disk's first sector looks for the core image. */
export function coreStartOf(firstSector: Buffer): number {
  return Number(firstSector.readBigUInt64LE(kernelSectorAt)) * sectorBytes;
}

/** Where the core image's first sector says that the others are. */
export function restOfCore(firstSector: Buffer): { readonly startBytes: number; readonly sizeBytes: number } {
  const at = sectorBytes - blocklistEntryBytes;
  return {
    startBytes: Number(firstSector.readBigUInt64LE(at)) * sectorBytes,
    sizeBytes: firstSector.readUInt16LE(at + 8) * sectorBytes,
  };
}

/** Where kernels and GRUB's menu are: a filesystem, and the directory on it that the system sees as /boot. */
export interface BootPlace {
  readonly uuid: string;
  /** "/boot" on the root filesystem, "" on a filesystem of its own; after the name of a subvolume. */
  readonly directory: string;
  /** Where on it the links vmlinuz and initrd.img are: the root directory, or where there is a filesystem for it, /boot. */
  readonly links: string;
}

/** Embedded in the core image, or beside GRUB on the ESP: finds the filesystem, however the firmware counts its disks. */
export function embeddedConfig({ uuid, directory }: BootPlace): string {
  return `search.fs_uuid ${uuid} root\nset prefix=($root)${directory}/grub\n`;
}

/** GRUB on an ESP reads this first, and the menu by it. */
export function espConfig(place: BootPlace): string {
  return `${embeddedConfig(place)}configfile $prefix/grub.cfg\n`;
}

/** The menu. The links vmlinuz and initrd.img follow kernel updates; so do their predecessors, `.old`. */
export function grubMenu(options: {
  readonly place: BootPlace;
  readonly cmdline: readonly string[];
  readonly consoles: readonly string[];
  readonly timeoutSeconds: number;
  readonly title: string;
}): string {
  const { place } = options;
  const entry = (title: string, suffix: string) =>
    `menuentry ${grubWord(title)} {\n  linux ${[`${place.links}/vmlinuz${suffix}`, ...options.cmdline].map(grubWord).join(" ")}\n  initrd ${grubWord(`${place.links}/initrd.img${suffix}`)}\n}\n`;
  return [
    ...terminals(options.consoles),
    "set default=0",
    "set fallback=1",
    `set timeout=${options.timeoutSeconds}`,
    `search --no-floppy --fs-uuid --set=root ${place.uuid}`,
    "",
    entry(options.title, ""),
    entry(`${options.title}, previous kernel`, ".old"),
  ].join("\n");
}

/** One word of GRUB's language, which gives a meaning to `$` of `memmap=64K$0x1869000`, to `;` and to others outside of quotes. */
export function grubWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Every serial console, beside the screen. Under UEFI the firmware has its own way to them, and would say everything twice. */
export function terminals(consoles: readonly string[]): string[] {
  const ports = consoles.flatMap((one) => {
    const match = /^ttyS(\d+)(?:,(\d+))?/.exec(one);
    return match === null ? [] : [{ unit: match[1]!, speed: match[2] ?? "115200" }];
  });
  // One by one: a port that the machine lacks must not take the others along.
  const added = ports.flatMap(({ unit, speed }) => [
    `  serial --unit=${unit} --speed=${speed}`,
    `  terminal_input --append serial_com${unit}`,
    `  terminal_output --append serial_com${unit}`,
  ]);
  return [
    "terminal_input console",
    "terminal_output console",
    ...(added.length === 0 ? [] : ['if [ "$grub_platform" = pc ]; then', ...added, "fi"]),
  ];
}
