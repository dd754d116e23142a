import { coreStartOf, restOfCore } from "../../../src/boot/grub.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { type DiskView, sectorBytes } from "./disk-view.ts";
import { type Ext4, openExt4 } from "./ext4.ts";
import { openFat } from "./fat.ts";
import { bytesOf, type FileAt, type Filesystem } from "./filesystem.ts";
import { grubEntries, type MenuEntry } from "./grub-menu.ts";
import { sectorsOf } from "./journal.ts";
import { defaultEntry } from "./loader-entries.ts";
import { ofType, type Partition, partitionsOf, readTable } from "./partitions.ts";
import { Unreadable, unlessUnreadable } from "./unreadable.ts";

export type Firmware = "bios" | "uefi";
/** Of the first sector, what is code. */
const bootCodeBytes = 440;
const largestCore = 2 ** 20;
const largestText = 2 ** 20;

/** What a loader does that is known by its digest: it looks for a menu on a filesystem, or beside itself. */
export type Loader =
  | { readonly kind: "grub"; readonly uuid: string; readonly prefix: string }
  | { readonly kind: "systemd-boot" };

/** What the machine would start, its files by their digests. */
export interface Start {
  readonly linux: string;
  readonly initrds: readonly string[];
  readonly cmdline: string;
}

/** What is seen of a disk; how good that is, is not said here. Digests, or why there is nothing. */
export interface Facts {
  readonly table: { readonly primary: boolean; readonly backup: boolean };
  /** BIOS: code of the first sector, and GRUB's core image. UEFI: the program at the path that firmware tries unasked. */
  readonly loader: readonly string[] | Unreadable;
  readonly start: Start | Unreadable;
}

/** How to look: what loaders are known, and digests that were made before, by where their bytes are. */
export interface Probe {
  readonly firmware: Firmware;
  readonly loaders: ReadonlyMap<string, Loader>;
  readonly digests: Map<string, string>;
}

/** Looks at a disk as firmware, bootloader and kernel would, one after another. Nothing is started. */
export function probeDisk(view: DiskView, probe: Probe): Facts {
  const table = readTable(view.read, view.size);
  const loader = unlessUnreadable(() => loaderOf(view, probe));
  return {
    table: { primary: !(table.primary instanceof Unreadable), backup: !(table.backup instanceof Unreadable) },
    loader: loader instanceof Unreadable ? loader : loader.digests,
    start: loader instanceof Unreadable ? loader : unlessUnreadable(() => startOf(view, probe, loader)),
  };
}

/** The machine's partitions as its firmware and Linux see them. */
export function partitionsIn(view: DiskView, { firmware }: Pick<Probe, "firmware">): readonly Partition[] {
  return partitionsOf(readTable(view.read, view.size), firmware);
}

/** The partition with the filesystem of that UUID, and the filesystem. */
export function ext4With(
  view: DiskView,
  partitions: readonly Partition[],
  uuid: string,
): { partition: Partition; ext4: Ext4 } {
  for (const partition of partitions) {
    const ext4 = unlessUnreadable(() => openExt4(view.read, partition));
    if (!(ext4 instanceof Unreadable) && ext4.uuid === uuid) return { partition, ext4 };
  }
  throw new Unreadable("no filesystem with the UUID that is looked for");
}

interface FoundLoader {
  readonly digests: readonly string[];
  /** The ESP that it is on. */
  readonly esp?: Filesystem;
}

/** The first program that the firmware starts. */
export function loaderOf(view: DiskView, probe: Probe): FoundLoader {
  if (probe.firmware === "bios") return { digests: coreOf(view) };
  for (const partition of ofType(partitionsIn(view, probe), "esp")) {
    const esp = openFat(view.read, partition);
    return { digests: [digestOf(view, esp.file("/EFI/BOOT/BOOTX64.EFI"), probe)], esp };
  }
  throw new Unreadable("no ESP");
}

function coreOf(view: DiskView): string[] {
  const first = view.read(0, sectorBytes);
  const code = first.subarray(0, bootCodeBytes);
  if (first.readUInt16LE(510) !== 0xaa55 || code.every((byte) => byte === 0))
    throw new Unreadable("no boot code");
  const at = coreStartOf(first);
  if (at + sectorBytes > view.size) throw new Unreadable("boot code that leads nowhere");
  const head = view.read(at, sectorBytes);
  const { startBytes, sizeBytes } = restOfCore(head);
  if (
    startBytes !== at + sectorBytes ||
    sizeBytes === 0 ||
    sizeBytes > largestCore ||
    startBytes + sizeBytes > view.size
  )
    throw new Unreadable("no core image of GRUB");
  return [sha256(code), sha256(Buffer.concat([head, view.read(startBytes, sizeBytes)]))];
}

function startOf(view: DiskView, probe: Probe, { digests, esp }: FoundLoader): Start {
  const known = digests.map((digest) => probe.loaders.get(digest));
  const loader = known.at(-1);
  if (loader === undefined || known.includes(undefined))
    throw new Unreadable(`a loader that is whole for neither system`);
  const partitions = partitionsIn(view, probe);
  if (loader.kind === "systemd-boot") return systemdBoot(view, probe, esp);
  const { ext4 } = ext4With(view, partitions, loader.uuid);
  const entries = grubEntries(loader.prefix, (path) => textOf(view, ext4, path));
  for (const entry of entries) {
    const on =
      entry.on === undefined || entry.on === ext4.uuid ? ext4 : ext4With(view, partitions, entry.on).ext4;
    const start = filesOf(view, probe, on, entry);
    // GRUB goes on to its fallback where a file is not there.
    if (start !== undefined) return start;
  }
  throw new Unreadable("no file of an entry is there");
}

function systemdBoot(view: DiskView, probe: Probe, esp: Filesystem | undefined): Start {
  if (esp === undefined) throw new Unreadable("no ESP");
  const entry = defaultEntry({
    // Kernels are asked for as well, whether they are there; as text they would be too much.
    text: (path) => textOf(view, esp, path),
    names: (path) => {
      const found = unlessUnreadable(() => esp.list(path));
      return found instanceof Unreadable ? undefined : found;
    },
  });
  const start = filesOf(view, probe, esp, entry);
  if (start === undefined) throw new Unreadable("no file of an entry is there");
  return start;
}

function filesOf(view: DiskView, probe: Probe, on: Filesystem, entry: MenuEntry): Start | undefined {
  const files = [entry.linux, ...entry.initrds].map((path) => unlessUnreadable(() => on.file(path)));
  const found = files.flatMap((file) => (file instanceof Unreadable ? [] : [file]));
  if (found.length < files.length) return undefined;
  const [linux = "", ...initrds] = found.map((file) => digestOf(view, file, probe));
  return { linux, initrds, cmdline: entry.cmdline };
}

function textOf(view: DiskView, on: Filesystem, path: string): string | undefined {
  const file = unlessUnreadable(() => on.file(path));
  if (file instanceof Unreadable) return undefined;
  return file.size > largestText ? "(large)" : bytesOf(view.read, file).toString("utf8");
}

/** Of a whole file; made anew only where its bytes come from elsewhere. */
function digestOf(view: DiskView, file: FileAt, { digests }: Probe): string {
  const origin = `${file.size} ${view.origin(sectorsOf(file))}`;
  const known = digests.get(origin);
  if (known !== undefined) return known;
  const digest = sha256(bytesOf(view.read, file));
  digests.set(origin, digest);
  return digest;
}
