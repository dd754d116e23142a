import type { AcceleratorName } from "./accelerator.ts";

export interface MachineDisk {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  /** What the guest sees as the disk's serial: at most 20 characters, as virtio-blk has it. */
  readonly serial: string;
  readonly readOnly?: boolean;
  /** "unsafe" ignores the guest's flushes: faster, but a power cut loses more than a real one. Default "writeback". */
  readonly cache?: "writeback" | "unsafe";
}

export interface MachineShape {
  readonly name: string;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly accelerator: AcceleratorName;
  /** Files of the firmware's code and of this machine's own variables; left out for BIOS. */
  readonly uefi?: { readonly code: string; readonly variables: string };
  /** In boot order. */
  readonly disks: readonly MachineDisk[];
  /** TCP ports of the guest; each gets a free port of 127.0.0.1. */
  readonly forwards: readonly number[];
  /** Last three bytes of the network card's MAC address, "00:12:34"; default QEMU's own. */
  readonly mac?: string;
  /** i6300esb, resetting the machine when it fires. */
  readonly watchdog?: boolean;
  /** Everything the serial port says is also appended here. */
  readonly consoleFile: string;
}

/** Inherited file descriptors of the QEMU process: connected sockets, so no path, no race, no one else can connect. */
export const machineFds = { console: 3, qmp: 4 } as const;

/**
 * A small translation cache, in MiB. With the default (1 GiB) hundreds of dead translations pile up on each page of
 * memory, and every write to such a page visits them all: after a restart GRUB then takes minutes to read a kernel.
 */
const translationMib = 128;

/**
 * QEMU's argv. The machine is a small cloud server: q35, virtio disk, network and random numbers, VGA and a serial port.
 * It starts stopped, so that nothing of the console is missed.
 */
export function qemuCommand(shape: MachineShape): string[] {
  const forwards = shape.forwards.map((guest) => `,hostfwd=tcp:127.0.0.1:0-:${guest}`).join("");
  return [
    "qemu-system-x86_64",
    ...["-name", escapeComma(shape.name)],
    ...["-no-user-config", "-nodefaults", "-display", "none", "-vga", "std", "-S"],
    ...["-machine", "q35"],
    ...acceleratorArgs(shape.accelerator),
    ...["-smp", String(shape.cpus)],
    ...["-m", `${shape.memoryMib}M`],
    ...[
      "-chardev",
      `socket,id=console,fd=${machineFds.console},logfile=${escapeComma(shape.consoleFile)},logappend=on`,
    ],
    ...["-serial", "chardev:console"],
    ...["-chardev", `socket,id=qmp,fd=${machineFds.qmp}`],
    ...["-mon", "chardev=qmp,mode=control"],
    ...(shape.uefi === undefined ? [] : pflash(shape.uefi)),
    ...["-netdev", `user,id=net0${forwards}`],
    // A fixed slot, taken before the disks get theirs, so that the card is enp0s3 whatever else there is.
    ...["-device", `virtio-net-pci,netdev=net0,addr=0x3${shape.mac ? `,mac=52:54:00:${shape.mac}` : ""}`],
    ...shape.disks.flatMap(diskArgs),
    ...["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"],
    ...(shape.watchdog ? ["-device", "i6300esb", "-action", "watchdog=reset"] : []),
  ];
}

/** Accelerator and processor, which belong together: a KVM may run one processor model and not another. */
export function acceleratorArgs(name: AcceleratorName): string[] {
  if (name === "kvm") return ["-accel", "kvm", "-cpu", "host"];
  // Five-level paging makes a page walk under TCG dearer, and no provider of small servers has it.
  return ["-accel", `tcg,thread=multi,tb-size=${translationMib}`, "-cpu", "max,la57=off"];
}

function pflash(uefi: { readonly code: string; readonly variables: string }): string[] {
  return [
    ...["-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${escapeComma(uefi.code)}`],
    ...["-drive", `if=pflash,unit=1,format=qcow2,file=${escapeComma(uefi.variables)}`],
  ];
}

function diskArgs(disk: MachineDisk, index: number): string[] {
  const drive = [
    `if=none,id=disk${index}`,
    `format=${disk.format}`,
    `cache=${disk.cache ?? "writeback"}`,
    "discard=unmap",
    `read-only=${disk.readOnly ? "on" : "off"}`,
    `file=${escapeComma(disk.file)}`,
  ].join(",");
  const device = `virtio-blk-pci,drive=disk${index},serial=${escapeComma(disk.serial)},bootindex=${index}`;
  return ["-drive", drive, "-device", device];
}

/** QEMU's option syntax: a comma in a value is written twice. */
function escapeComma(value: string): string {
  return value.replaceAll(",", ",,");
}
