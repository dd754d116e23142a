import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { Fail } from "../util/fail.ts";
import {
  DiskIdentity,
  type FoundDisk,
  type FoundPartition,
  findDisk,
  type MachinePaths,
  thisMachine,
} from "./find-disk.ts";
import { refuseHostDisks } from "./guard.ts";

/** What a step writes: a disk of the plan, found again by its identity; or a raw image file. Never a device path. */
export const Target = z.union([
  z.strictObject({ disk: DiskIdentity }),
  z.strictObject({ image: z.string().refine(isAbsolute, "an absolute path") }),
]);
export type Target = z.output<typeof Target>;

/** A partition of a disk of the plan. */
export const DiskPartition = z.strictObject({
  disk: DiskIdentity,
  number: z.int().positive(),
  startBytes: z.int().positive(),
  sizeBytes: z.int().positive(),
});
export type DiskPartition = z.output<typeof DiskPartition>;

interface OpenableDisk extends FoundDisk {
  readonly path: string;
}

/** The path under which a disk of the plan may be written now. */
export async function writableDisk(
  identity: DiskIdentity,
  machine: MachinePaths = thisMachine,
): Promise<OpenableDisk> {
  const found = await findDisk(identity, machine);
  const path = join(machine.dev, found.kernelName);
  await refuseHostDisks(path);
  return { ...found, path };
}

/** The path of a target's first byte: the image file or the whole disk. */
export async function writablePath(target: Target, machine: MachinePaths = thisMachine): Promise<string> {
  if ("disk" in target) return (await writableDisk(target.disk, machine)).path;
  await refuseHostDisks(target.image);
  return target.image;
}

/** The node of a partition that lies where the plan put it. */
export async function partitionPath(
  partition: DiskPartition,
  machine: MachinePaths = thisMachine,
): Promise<string> {
  const disk = await writableDisk(partition.disk, machine);
  const path = join(machine.dev, partitionAt(disk, partition).kernelName);
  await refuseHostDisks(path);
  return path;
}

/**
 * A partition is known by its place. What is kept may have had another number before its disk got the plan's table, and a build that is
 * resumed finds the table that the one before it wrote.
 */
export function partitionAt(disk: OpenableDisk, partition: DiskPartition): FoundPartition {
  const { startBytes, sizeBytes } = partition;
  const there = disk.partitions.find(
    (part) => part.startBytes === startBytes && part.sizeBytes === sizeBytes,
  );
  if (there !== undefined) return there;
  const named = disk.partitions.find(({ number }) => number === partition.number);
  const what = `partition ${partition.number} of disk ${partition.disk.name}`;
  if (named === undefined) throw new Fail(`${what} (${disk.path}) is not there`);
  throw new Fail(
    `${what} lies at ${named.startBytes}, ${named.sizeBytes} bytes long; the plan says ${startBytes} and ${sizeBytes}`,
  );
}

/** Refuses a disk in use: mounted, swapped on, or part of something stacked upon it. */
export async function refuseBusy(
  disk: OpenableDisk,
  name: string,
  { dev, proc }: MachinePaths = thisMachine,
): Promise<void> {
  if (disk.holders.length > 0)
    throw new Fail(`disk ${name} (${disk.path}) is in use by ${disk.holders.join(", ")}`, {
      hint: "stop what is stacked on it (`dmsetup remove`, `mdadm --stop`)",
    });
  const nodes = new Set([disk.path, ...disk.partitions.map(({ kernelName }) => join(dev, kernelName))]);
  const used = `${await readFile(join(proc, "self/mounts"), "utf8")}\n${await readFile(join(proc, "swaps"), "utf8")}`;
  const sources = used.split("\n").map((line) => line.split(/\s/)[0]!);
  const busy = sources.find((source) => nodes.has(source));
  if (busy !== undefined) throw new Fail(`disk ${name} is in use: ${busy} is mounted or swap`);
}
