import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { readIfThere } from "../system/files/read-if-there.ts";
import { Fail } from "../util/fail.ts";
import { DiskIdentity, type MachinePaths, thisMachine } from "./find-disk.ts";
import { refuseHostDisks } from "./guard.ts";
import { DiskPartition, partitionPath, writableDisk } from "./target.ts";

/**
 * What a step works on: never a device path, which is another in each boot, but what the plan knows it by. A mapping, a volume and an
 * array are found by name and by what device-mapper and md say of their origin.
 */
export const DeviceRef = z.union([
  z.strictObject({ disk: DiskIdentity }),
  z.strictObject({ partition: DiskPartition }),
  z.strictObject({ luks: z.strictObject({ name: z.string(), uuid: z.string() }) }),
  z.strictObject({ volume: z.strictObject({ group: z.string(), name: z.string() }) }),
  z.strictObject({ array: z.strictObject({ name: z.string(), uuid: z.string() }) }),
]);
export type DeviceRef = z.output<typeof DeviceRef>;

interface Device {
  readonly path: string;
  /** "dm-0", "md127", "vda1". */
  readonly kernelName: string;
  readonly sizeBytes: number;
  readonly sectorSize: number;
}

/** The device, which may be written; a refusal when it is not there. */
export async function openDevice(ref: DeviceRef, machine: MachinePaths = thisMachine): Promise<Device> {
  const device = await findDevice(ref, machine);
  if (device === undefined) throw new Fail(`${showDevice(ref)} is not there`);
  await refuseHostDisks(device.path);
  return device;
}

/** The same, or undefined when a mapping, a volume or an array is not open now. */
export async function findDevice(
  ref: DeviceRef,
  machine: MachinePaths = thisMachine,
): Promise<Device | undefined> {
  const { sys, dev } = machine;
  if ("disk" in ref) {
    const { path, kernelName, sectorSize } = await writableDisk(ref.disk, machine);
    return { path, kernelName, sectorSize, sizeBytes: ref.disk.sizeBytes };
  }
  if ("partition" in ref) {
    const path = await partitionPath(ref.partition, machine);
    const { sectorSize } = await writableDisk(ref.partition.disk, machine);
    return { path, kernelName: basename(path), sectorSize, sizeBytes: ref.partition.sizeBytes };
  }
  for (const kernelName of await readdir(join(sys, "block"))) {
    const read = (path: string) => readIfThere(join(sys, "block", kernelName, path))?.trim();
    const path = pathIf(ref, read, dev, kernelName);
    if (path === undefined) continue;
    return {
      path,
      kernelName,
      sizeBytes: Number(read("size") ?? "0") * 512,
      sectorSize: Number(read("queue/logical_block_size") ?? "512"),
    };
  }
  return undefined;
}

/** Undefined for another device; a refusal for one of that name with another origin. */
function pathIf(
  ref: Exclude<DeviceRef, { disk: unknown } | { partition: unknown }>,
  read: (path: string) => string | undefined,
  dev: string,
  kernelName: string,
): string | undefined {
  if ("array" in ref) {
    const uuid = read("md/uuid");
    return uuid !== undefined && hex(uuid) === hex(ref.array.uuid) ? join(dev, kernelName) : undefined;
  }
  const name = mappingOf(ref);
  if (read("dm/name") !== name) return undefined;
  const origin = read("dm/uuid") ?? "";
  const prefix = "luks" in ref ? `CRYPT-LUKS2-${hex(ref.luks.uuid)}-` : "LVM-";
  if (!origin.startsWith(prefix))
    throw new Fail(`${join(dev, "mapper", name)} is there, and is not ${showDevice(ref)}`, {
      hint: `device-mapper calls it ${origin || "nothing"}`,
    });
  return join(dev, "mapper", name);
}

/** For a printed plan: the path, where it is one on every machine. */
export function printedDevice(ref: DeviceRef): string {
  return "luks" in ref || "volume" in ref ? `/dev/mapper/${mappingOf(ref)}` : `<${showDevice(ref)}>`;
}

function mappingOf(ref: Extract<DeviceRef, { luks: unknown } | { volume: unknown }>): string {
  return "luks" in ref ? ref.luks.name : `${ref.volume.group}-${ref.volume.name}`;
}

/** For messages. */
export function showDevice(ref: DeviceRef): string {
  if ("disk" in ref) return `disk ${ref.disk.name}`;
  if ("partition" in ref) return `partition ${ref.partition.number} of disk ${ref.partition.disk.name}`;
  if ("luks" in ref) return `LUKS volume ${ref.luks.name} (${ref.luks.uuid})`;
  if ("volume" in ref) return `volume ${ref.volume.group}/${ref.volume.name}`;
  return `array ${ref.array.name} (${ref.array.uuid})`;
}

function hex(uuid: string): string {
  return uuid.replace(/[^0-9a-f]/gi, "").toLowerCase();
}
