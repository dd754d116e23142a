import type { Storage, WrittenDisk } from "../schema/storage.ts";
import { Fail } from "../util/fail.ts";

export interface Mounted {
  readonly disk: string;
  /** GPT name; absent for a kept filesystem, which is known by its UUID. */
  readonly partition: string | undefined;
  readonly type: "ext4" | "vfat";
  readonly kept: boolean;
  readonly uuid: string | undefined;
  readonly mount: string;
  readonly options: readonly string[];
}

/** Written disks of a definition, by name, in a fixed order. */
export function writtenDisks(storage: Storage): [name: string, disk: WrittenDisk][] {
  return Object.entries(storage.disks)
    .filter((entry): entry is [string, WrittenDisk] => "table" in entry[1])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Every mounted filesystem, parents before what is mounted below them. */
export function mountsOf(storage: Storage): Mounted[] {
  const mounts: Mounted[] = [];
  for (const [name, disk] of Object.entries(storage.disks)) {
    if ("table" in disk) {
      for (const { name: partition, content } of disk.table.partitions)
        if (content !== undefined)
          mounts.push({
            disk: name,
            partition,
            type: content.type,
            kept: false,
            uuid: undefined,
            mount: content.mount,
            options: content.options,
          });
    } else {
      for (const { type, uuid, mount, options } of disk.keep)
        mounts.push({ disk: name, partition: undefined, type, kept: true, uuid, mount, options });
    }
  }
  return mounts.sort((a, b) => depth(a.mount) - depth(b.mount) || (a.mount < b.mount ? -1 : 1));
}

/** The filesystem on which an absolute path lies, and the path as seen from that filesystem's root. */
export function filesystemOf(storage: Storage, path: string): { on: Mounted; inner: string } {
  const on = mountsOf(storage)
    .filter(
      ({ mount }) => mount === "/" || path === mount || path.startsWith(`${mount === "/" ? "" : mount}/`),
    )
    .at(-1);
  if (on === undefined) throw new Fail("no filesystem is mounted at /");
  return { on, inner: on.mount === "/" ? path : path.slice(on.mount.length) || "/" };
}

/** What a schema cannot say: one root, one ESP at /efi, what each firmware needs, nothing twice. */
export function checkStorage(storage: Storage, firmware: readonly ("uefi" | "bios")[]): void {
  const mounts = mountsOf(storage);
  for (const [index, one] of mounts.entries()) {
    const twin = mounts.find((other, at) => at > index && other.mount === one.mount);
    if (twin !== undefined) throw new Fail(`two filesystems are mounted at ${one.mount}`);
    if (one.type === "vfat" && one.mount !== "/efi")
      throw new Fail(`a vfat filesystem is mounted at ${one.mount}; only the ESP at /efi is supported`);
  }
  const root = mounts[0];
  if (root?.mount !== "/") throw new Fail("no filesystem is mounted at /", { hint: "add `root()`" });
  if (root.kept) throw new Fail("the root filesystem is on a disk that is kept", { hint: "write it anew" });
  checkFirmware(storage, root.disk, firmware);
  if (storage.swapFile !== undefined) {
    const { on } = filesystemOf(storage, storage.swapFile.path);
    if (on.mount !== "/" || storage.swapFile.path === "/")
      throw new Fail(`the swap file ${storage.swapFile.path} is not a file of the root filesystem`);
  }
}

function checkFirmware(storage: Storage, rootDisk: string, firmware: readonly ("uefi" | "bios")[]): void {
  const written = writtenDisks(storage);
  for (const [name, disk] of written)
    for (const partition of disk.table.partitions) {
      if ((partition.type === "esp") !== (partition.content?.type === "vfat"))
        throw new Fail(
          `partition ${partition.name} of disk ${name}: an \`esp\` holds vfat, and nothing else does`,
        );
      if (partition.type === "bios-boot" && partition.content !== undefined)
        throw new Fail(`partition ${partition.name} of disk ${name}: \`bios-boot\` holds no filesystem`);
    }
  const having = (type: "esp" | "bios-boot") =>
    written.flatMap(([name, disk]) =>
      disk.table.partitions.filter((partition) => partition.type === type).map(() => name),
    );
  for (const type of ["esp", "bios-boot"] as const)
    if (having(type).length > 1) throw new Fail(`there is more than one partition of the type ${type}`);
  if (firmware.includes("uefi") && having("esp").length === 0)
    throw new Fail("UEFI firmware needs an ESP", {
      hint: "add `esp()`, or leave `uefi` out of `boot.firmware`",
    });
  if (firmware.includes("bios") && having("bios-boot")[0] !== rootDisk)
    throw new Fail(
      `BIOS firmware needs a bios-boot partition on the disk of the root filesystem, ${rootDisk}`,
      {
        hint: "add `biosBoot()` there, or leave `bios` out of `boot.firmware`",
      },
    );
}

function depth(mount: string): number {
  return mount === "/" ? 0 : mount.split("/").length - 1;
}
