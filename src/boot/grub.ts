import { Fail } from "../util/fail.ts";

/**
 * Offsets from GRUB's include/grub/i386/pc/boot.h and include/grub/offsets.h. boot.img is the first sector of a disk; it
 * loads the first sector of the core image, whose last entry tells where the rest of it lies.
 */
const sectorBytes = 512;
const kernelSectorAt = 0x5c;
const driveCheckAt = 0x66;
/** Behind the boot code lie the disk's signature and the partition table, which stay as they are. */
export const bootCodeBytes = 0x1b8;
const blocklistEntryBytes = 12;

/** GRUB modules of the core image: all that a menu on ext4 needs, so that no module is read from a disk. */
export const grubModules = [
  "biosdisk",
  "part_gpt",
  "ext2",
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

/** The core image as it lies at `startBytes`: its first sector told where the others are. */
export function placedCore(core: Uint8Array, startBytes: number, roomBytes: number): Buffer {
  if (core.length > roomBytes)
    throw new Fail(
      `GRUB's core image of ${core.length} bytes does not fit a bios-boot partition of ${roomBytes}`,
      {
        hint: "make it 1MiB",
      },
    );
  const placed = Buffer.alloc(Math.ceil(core.length / sectorBytes) * sectorBytes);
  Buffer.from(core).copy(placed);
  placed.writeBigUInt64LE(BigInt(startBytes / sectorBytes + 1), sectorBytes - blocklistEntryBytes);
  return placed;
}

/** Embedded in the core image: finds the root filesystem, however the firmware counts its disks. */
export function embeddedConfig(rootUuid: string): string {
  return `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\n`;
}

/** The menu. The links /vmlinuz and /initrd.img follow kernel updates; so does their predecessor, `.old`. */
export function grubMenu(options: {
  readonly rootUuid: string;
  readonly cmdline: readonly string[];
  readonly consoles: readonly string[];
  readonly timeoutSeconds: number;
  readonly title: string;
}): string {
  const serial = options.consoles.find((one) => one.startsWith("ttyS"));
  const [unit, speed] =
    serial === undefined ? [] : [/^ttyS(\d+)/.exec(serial)?.[1], /,(\d+)/.exec(serial)?.[1]];
  const terminals = serial === undefined ? "console" : "console serial";
  const entry = (title: string, suffix: string) =>
    `menuentry '${title}' {\n  linux /vmlinuz${suffix} ${options.cmdline.join(" ")}\n  initrd /initrd.img${suffix}\n}\n`;
  return [
    ...(serial === undefined ? [] : [`serial --unit=${unit ?? 0} --speed=${speed ?? 115200}`]),
    `terminal_input ${terminals}`,
    `terminal_output ${terminals}`,
    "set default=0",
    "set fallback=1",
    `set timeout=${options.timeoutSeconds}`,
    `search --no-floppy --fs-uuid --set=root ${options.rootUuid}`,
    "",
    entry(options.title, ""),
    entry(`${options.title}, previous kernel`, ".old"),
  ].join("\n");
}
