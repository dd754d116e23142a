import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { asFact, type DiskFacts } from "../schema/facts.ts";
import { readIfThere } from "../system/files/read-if-there.ts";
import { Fail } from "../util/fail.ts";

/**
 * What a disk of the plan is known by: the same in the old system's kernel and in the base's, unlike "sda".
 * A step carries this and never a device path.
 */
export const DiskIdentity = z.strictObject({
  /** The definition's name for the disk, for messages. */
  name: z.string(),
  serial: z.string().optional(),
  wwn: z.string().optional(),
  model: z.string().optional(),
  /** Name in /dev/disk/by-path: of a disk that has neither serial nor wwn. */
  path: z.string().optional(),
  sizeBytes: z.int().positive(),
});
export type DiskIdentity = z.output<typeof DiskIdentity>;

export interface FoundDisk {
  /** Kernel name in this boot, "vda". */
  readonly kernelName: string;
  readonly sectorSize: number;
  readonly partitions: readonly FoundPartition[];
  /** Kernel names of what is stacked on the disk or its partitions. */
  readonly holders: readonly string[];
}

export interface FoundPartition {
  readonly kernelName: string;
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** Where the kernel tells about disks; a directory made by a test, or the real ones. */
export interface DiskSources {
  readonly sys: string;
  readonly udev: string;
}

/** Where a machine shows all else that steps look at. */
export interface MachinePaths extends DiskSources {
  readonly dev: string;
  readonly proc: string;
  readonly run: string;
}

export const thisMachine: MachinePaths = {
  ...{ sys: "/sys", udev: "/run/udev/data" },
  ...{ dev: "/dev", proc: "/proc", run: "/run" },
};
const virtualNames = /^(loop|ram|zram|dm-|md|sr|fd|nbd)/;

export function identityOf(name: string, facts: DiskFacts): DiskIdentity {
  const { serial, wwn, model, sizeBytes } = facts;
  const path = serial === undefined && wwn === undefined ? facts.byPath?.[0] : undefined;
  return {
    name,
    sizeBytes,
    ...(serial === undefined ? {} : { serial }),
    ...(wwn === undefined ? {} : { wwn }),
    ...(model === undefined ? {} : { model }),
    ...(path === undefined ? {} : { path }),
  };
}

/** The one disk of this machine with that identity; none or two is a refusal. */
export async function findDisk(
  identity: DiskIdentity,
  sources: DiskSources = thisMachine,
): Promise<FoundDisk> {
  if (identity.serial === undefined && identity.wwn === undefined && identity.path === undefined)
    throw new Fail(`disk ${identity.name} has neither serial nor wwn nor path to be found by`);
  const names = (await readdir(join(sources.sys, "block"))).filter((name) => !virtualNames.test(name)).sort();
  const found: string[] = [];
  const listed: string[] = [];
  for (const name of names) {
    // A path of NVMe multipath has serial and size of the disk that it leads to, and cannot be opened.
    if (text(sources.sys, "block", name, "hidden") === "1") continue;
    const disk = describe(name, sources);
    listed.push(`${name}: serial ${disk.serials.join(" or ") || "none"}, ${disk.sizeBytes} bytes`);
    if (
      disk.sizeBytes === identity.sizeBytes &&
      (identity.serial === undefined || disk.serials.includes(identity.serial.trim())) &&
      (identity.wwn === undefined || disk.wwn === identity.wwn.trim()) &&
      (identity.path === undefined || disk.paths.includes(identity.path)) &&
      (identity.model === undefined || disk.model === undefined || disk.model === identity.model.trim())
    )
      found.push(name);
  }
  const [kernelName] = found;
  const shown = `disk ${identity.name} (serial ${identity.serial ?? "any"}, ${identity.sizeBytes} bytes)`;
  if (kernelName === undefined)
    throw new Fail(`${shown} is not there`, { hint: `this machine has ${listed.join("; ") || "no disks"}` });
  if (found.length > 1)
    throw new Fail(`${shown} is there ${found.length} times: ${found.join(", ")}`, {
      hint:
        identity.wwn === undefined
          ? "take all but one away"
          : "several paths lead to it: imgbuild does not deploy to multipath disks yet",
    });
  return {
    kernelName,
    sectorSize: Number(text(sources.sys, "block", kernelName, "queue/logical_block_size") ?? "512"),
    ...(await partsOf(kernelName, sources)),
  };
}

/** In the form of facts, as the identity is. */
function describe(name: string, sources: DiskSources) {
  const read = (path: string) => {
    const found = text(sources.sys, "block", name, path);
    return found === undefined ? undefined : asFact(found);
  };
  const known = text(sources.udev, `b${read("dev")}`) ?? "";
  // SCSI and ATA disks have no serial in /sys; udev asked them for it and wrote it down.
  const serials = [
    read("serial"),
    read("device/serial"),
    /^E:ID_SERIAL_SHORT=(.*)$/m.exec(known)?.[1]?.trim(),
  ].flatMap((serial) => (serial === undefined || serial === "" ? [] : [asFact(serial)]));
  const links = [...known.matchAll(/^S:disk\/by-path\/(\S+)$/gm)].map((match) => match[1]!);
  return {
    serials: [...new Set(serials)],
    paths: links.map(asFact),
    wwn: read("wwid") ?? read("device/wwid"),
    model: read("device/model") || undefined,
    // The kernel counts in units of 512 bytes whatever the sector size.
    sizeBytes: Number(read("size") ?? "0") * 512,
  };
}

async function partsOf(name: string, { sys }: DiskSources) {
  const directory = join(sys, "block", name);
  const partitions: FoundPartition[] = [];
  const holders: string[] = await readdir(join(directory, "holders")).catch(() => []);
  for (const part of await readdir(directory)) {
    const number = text(directory, part, "partition");
    if (number === undefined) continue;
    holders.push(...(await readdir(join(directory, part, "holders")).catch(() => [])));
    partitions.push({
      kernelName: part,
      number: Number(number),
      startBytes: Number(text(directory, part, "start")) * 512,
      sizeBytes: Number(text(directory, part, "size")) * 512,
    });
  }
  return { partitions: partitions.sort((a, b) => a.number - b.number), holders };
}

function text(...path: string[]): string | undefined {
  return readIfThere(join(...path))?.trim();
}
