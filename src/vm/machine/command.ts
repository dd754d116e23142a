import { onlyArchitecture } from "../../tables/architecture.ts";
import { bootCard, isWired, type Segment, userNetdev } from "../network/segment.ts";

const { qemu } = onlyArchitecture;

export type AcceleratorName = "kvm" | "hvf" | "tcg";
type DiskBus = "virtio" | "scsi" | "nvme" | "sata" | "usb" | "cdrom";

/** A disk as QEMU gets it. */
export interface DiskShape {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  /** What the guest sees as the disk's serial: at most 20 characters, as virtio-blk has it. */
  readonly serial: string;
  /** The guest sees no serial: it names the disk here alone. */
  readonly nameless?: boolean;
  /** Default "virtio". "cdrom": a disc in a drive; such a disk is `readOnly`. */
  readonly bus?: DiskBus;
  readonly readOnly?: boolean;
  /** Bytes of a logical sector; default 512. */
  readonly sectorSize?: 512 | 4096;
  /** "unsafe" ignores the guest's flushes: faster, but a power cut loses more than a real one. Default "writeback". */
  readonly cache?: "writeback" | "unsafe";
  /** Zeros that the guest writes take no room in the file. */
  readonly sparse?: boolean;
  /** An empty file into which every write and flush goes as well, in the format of the kernel's dm-log-writes. */
  readonly writeLog?: string;
}

/** A network card: on QEMU's own network, which reaches the outside, or on a switch of ours. */
export interface NicShape {
  readonly kind: "user" | "switch";
  /** Default QEMU's own. */
  readonly mac?: string;
  /** Of QEMU's own network; default its defaults. */
  readonly segments?: readonly Segment[];
}

export interface MachineShape {
  readonly name: string;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly accelerator: AcceleratorName;
  /** Files of the firmware's code and of this machine's own variables; left out for BIOS. */
  readonly uefi?: { readonly code: string; readonly variables: string; readonly secure: boolean };
  /** In boot order. */
  readonly disks: readonly DiskShape[];
  readonly nics: readonly NicShape[];
  /** Socket of a running swtpm. */
  readonly tpmSocket?: string;
  /** i6300esb, resetting the machine when it fires. */
  readonly watchdog?: boolean;
  /** Strings of SMBIOS type 11, from which systemd in the guest takes its credentials. */
  readonly oemStrings?: readonly string[];
  /** Everything the serial port says is also appended here. */
  readonly consoleFile: string;
  /** A kernel that is started without firmware's help; the disks' own bootloaders are not asked. */
  readonly direct?: { readonly kernel: string; readonly initrd: string; readonly cmdline: readonly string[] };
  /** A restart of the guest ends the machine. */
  readonly once?: boolean;
  /** Seconds since the epoch that the guest's clock shows at first; default the present. */
  readonly clock?: number;
  /** Name of the virtio port; default that of the guest's shell. */
  readonly port?: string;
}

/** Inherited file descriptors of the QEMU process: connected sockets, so no path, no race, no one else can connect. */
export const machineFds = { console: 3, qmp: 4, shell: 5, firstNic: 6 } as const;

/** Name of the port on which the guest's shell listens: /dev/virtio-ports/… */
export const shellPort = "org.imgbuild.shell";

/**
 * A small translation cache, in MiB. With the default (1 GiB) hundreds of dead translations pile up on each page of
 * memory, and every write to such a page visits them all: after a restart GRUB then takes minutes to read a kernel.
 */
const translationMib = 128;

/**
 * QEMU's argv. The machine is a small cloud server: virtio disks, network and random numbers, VGA, a keyboard and a
 * serial port. It starts stopped, so that nothing of the console is missed. Disks and all cards but the first are on
 * ports of their own, so that they can be pulled and plugged in.
 */
export function qemuCommand(shape: MachineShape): string[] {
  return [qemu.program, ...computerArgs(shape), ...wireArgs(shape), ...diskArgs(shape), ...otherArgs(shape)];
}

function computerArgs(shape: MachineShape): string[] {
  const { direct, clock } = shape;
  return [
    ...["-name", escapeComma(shape.name)],
    ...["-no-user-config", "-nodefaults", "-display", "none", "-vga", "std", "-S"],
    ...["-machine", `${qemu.machine}${shape.uefi?.secure ? qemu.secure : ""}`],
    ...acceleratorArgs(shape.accelerator),
    ...["-smp", String(shape.cpus)],
    ...["-m", `${shape.memoryMib}M`],
    // Neither file is split at commas, unlike most that QEMU is given.
    ...(direct
      ? ["-kernel", direct.kernel, "-initrd", direct.initrd, "-append", direct.cmdline.join(" ")]
      : []),
    ...(shape.once ? ["-no-reboot"] : []),
    ...(clock === undefined
      ? []
      : ["-rtc", `base=${new Date(clock * 1000).toISOString().slice(0, 19)},clock=vm`]),
  ];
}

/** Sockets of ours, firmware and network cards. */
function wireArgs(shape: MachineShape): string[] {
  const log = escapeComma(shape.consoleFile);
  return [
    ...["-chardev", `socket,id=console,fd=${machineFds.console},logfile=${log},logappend=on`],
    ...["-serial", "chardev:console"],
    ...["-chardev", `socket,id=qmp,fd=${machineFds.qmp}`],
    ...["-mon", "chardev=qmp,mode=control"],
    ...(shape.uefi === undefined ? [] : pflash(shape.uefi)),
    // A fixed slot, taken before the disks get theirs, so that the first card is always enp0s3.
    ...shape.nics.flatMap(nicArgs),
    ...uplinksOf(shape.nics).flatMap(({ segment }, index) =>
      uplinkArgs(segment, index, machineFds.firstNic + shape.nics.length + index),
    ),
    ...["-chardev", `socket,id=shell,fd=${machineFds.shell}`],
    ...device({ driver: "virtio-serial-pci", id: "serial0" }),
    ...device({
      driver: "virtserialport",
      bus: "serial0.0",
      chardev: "shell",
      name: shape.port ?? shellPort,
    }),
  ];
}

function diskArgs({ disks, direct }: MachineShape): string[] {
  const on = (bus: DiskBus) => disks.some((disk) => disk.bus === bus);
  return [
    ...(on("scsi") ? device({ driver: "virtio-scsi-pci", id: "scsi0" }) : []),
    ...(on("usb") ? device({ driver: "qemu-xhci", id: "usb0" }) : []),
    ...disks.flatMap((disk, index) => [
      ...["-blockdev", JSON.stringify(blockNode(disk, index))],
      ...(needsPort(disk) ? device(rootPort(`disk${index}-port`, 0x10 + index)) : []),
      ...device(direct === undefined ? diskDevice(disk, index) : unbootable(diskDevice(disk, index))),
    ]),
  ];
}

function otherArgs({ tpmSocket, oemStrings = [], watchdog }: MachineShape): string[] {
  return [
    ...["-object", "rng-random,id=rng0,filename=/dev/urandom"],
    ...device({ driver: "virtio-rng-pci", rng: "rng0" }),
    ...device({ driver: "virtio-balloon-pci", id: "balloon0" }),
    ...(tpmSocket === undefined
      ? []
      : [
          ...["-chardev", `socket,id=tpm,path=${escapeComma(tpmSocket)}`],
          ...["-tpmdev", "emulator,id=tpm0,chardev=tpm"],
          ...device({ driver: "tpm-crb", tpmdev: "tpm0" }),
        ]),
    ...(oemStrings.length === 0
      ? []
      : ["-smbios", `type=11,${oemStrings.map((text) => `value=${escapeComma(text)}`).join(",")}`]),
    ...(watchdog ? [...device({ driver: "i6300esb" }), "-action", "watchdog=reset"] : []),
  ];
}

/** Accelerator and processor, which belong together: a KVM may run one processor model and not another. */
export function acceleratorArgs(name: AcceleratorName): string[] {
  if (name !== "tcg") return ["-accel", name, "-cpu", "host"];
  // Five-level paging makes a page walk under TCG dearer, and no provider of small servers has it.
  return ["-accel", `tcg,thread=multi,tb-size=${translationMib}`, "-cpu", "max,la57=off"];
}

/** The disk's content, as a node of QEMU's block layer: it stays when the device before it is pulled. */
function blockNode({ format, writeLog, ...disk }: DiskShape, index: number): Record<string, unknown> {
  const cache = { direct: false, "no-flush": disk.cache === "unsafe" };
  const file = { driver: "file", filename: disk.file, locking: "auto" };
  const node = {
    ...{ "node-name": `disk${index}-content`, "read-only": disk.readOnly === true, discard: "unmap" },
    ...(disk.sparse ? { "detect-zeroes": "unmap" } : {}),
  };
  if (writeLog === undefined) return { driver: format, ...node, cache, file };
  // The filter itself must see every flush, though the file beneath may ignore them.
  const seen = { driver: "blklogwrites", ...node, cache: { direct: false, "no-flush": false } };
  const log = { driver: "file", filename: writeLog, cache: { direct: false, "no-flush": true } };
  return { ...seen, file: { driver: format, discard: "unmap", cache, file }, log };
}

/** The device that the guest sees; the same as an argument of `device_add`. */
export function diskDevice(disk: DiskShape, index: number): Record<string, unknown> {
  const bus = disk.bus ?? "virtio";
  const [driver, place] = {
    virtio: ["virtio-blk-pci", `disk${index}-port`],
    scsi: ["scsi-hd", "scsi0.0"],
    nvme: ["nvme", `disk${index}-port`],
    sata: ["ide-hd", `ide.${index}`],
    usb: ["usb-storage", "usb0.0"],
    cdrom: ["ide-cd", `ide.${index}`],
  }[bus] as [string, string];
  const sectors = disk.sectorSize === undefined || disk.sectorSize === 512 ? {} : sectorsOf(disk.sectorSize);
  return {
    driver,
    id: `disk${index}`,
    bus: place,
    drive: `disk${index}-content`,
    ...(disk.nameless ? {} : { serial: disk.serial }),
    bootindex: index,
    // The guest sees an error, as of a real disk; QEMU would else stop the machine.
    ...(bus === "nvme" ? {} : { werror: "report", rerror: "report" }),
    ...sectors,
  };
}

/** The first place is that of QEMU's own loader, where it starts the kernel. */
function unbootable({ bootindex: _, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

/** All devices in this one form: QEMU makes those in another form before, and they would take the first slots. */
function device(properties: Readonly<Record<string, unknown>>): string[] {
  return ["-device", JSON.stringify(properties)];
}

/** The port's number is its slot's, so that a disk has the same address however many others there are. */
function rootPort(id: string, chassis: number): Record<string, unknown> {
  return { driver: "pcie-root-port", id, chassis, slot: chassis };
}

function needsPort(disk: DiskShape): boolean {
  return disk.bus === undefined || disk.bus === "virtio" || disk.bus === "nvme";
}

function sectorsOf(size: number): Record<string, number> {
  return { logical_block_size: size, physical_block_size: size };
}

/** The back of a network card. */
function netdev(nic: NicShape, index: number): Record<string, unknown> {
  const id = `net${index}`;
  const { segments = [] } = nic;
  if (nic.kind === "user" && !isWired(segments))
    return { type: "user", id, ...userNetdev(segments[0] ?? {}) };
  return {
    type: "stream",
    id,
    server: false,
    addr: { type: "fd", str: String(machineFds.firstNic + index) },
  };
}

/** The segments whose frames go through this process, with the numbers of their cards. */
export function uplinksOf(nics: readonly NicShape[]): { readonly segment: Segment; readonly nic: number }[] {
  return nics.flatMap(({ kind, segments = [] }, nic) =>
    kind === "user" && isWired(segments) ? segments.map((segment) => ({ segment, nic })) : [],
  );
}

/** QEMU's own network on one end of a hub, a socket of ours on the other. */
function uplinkArgs(segment: Segment, hub: number, fd: number): string[] {
  const id = `uplink${hub}`;
  return [
    { type: "user", id, ...userNetdev(segment) },
    { type: "hubport", id: `${id}-inner`, hubid: hub, netdev: id },
    { type: "stream", id: `${id}-cable`, server: false, addr: { type: "fd", str: String(fd) } },
    { type: "hubport", id: `${id}-outer`, hubid: hub, netdev: `${id}-cable` },
  ].flatMap((properties) => ["-netdev", JSON.stringify(properties)]);
}

/** The card that the guest sees; the same as an argument of `device_add`. */
export function nicDevice(nic: NicShape, index: number): Record<string, unknown> {
  return {
    driver: "virtio-net-pci",
    id: `nic${index}`,
    netdev: `net${index}`,
    ...(index === 0 ? { addr: "0x3" } : { bus: `nic${index}-port` }),
    ...(nic.mac === undefined ? {} : { mac: nic.mac }),
    ...bootCard(nic.segments ?? [], index),
  };
}

function nicArgs(nic: NicShape, index: number): string[] {
  return [
    ...["-netdev", JSON.stringify(netdev(nic, index))],
    ...(index === 0 ? [] : device(rootPort(`nic${index}-port`, 0x40 + index))),
    ...device(nicDevice(nic, index)),
  ];
}

function pflash(uefi: NonNullable<MachineShape["uefi"]>): string[] {
  return [
    ...["-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${escapeComma(uefi.code)}`],
    ...["-drive", `if=pflash,unit=1,format=qcow2,file=${escapeComma(uefi.variables)}`],
    // The variables of Secure Boot are written by the firmware alone, in system management mode.
    ...(uefi.secure ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
  ];
}

/** QEMU's option syntax: a comma in a value is written twice. */
function escapeComma(value: string): string {
  return value.replaceAll(",", ",,");
}
