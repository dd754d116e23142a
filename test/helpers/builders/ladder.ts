import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync } from "node:fs";
import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identityOf } from "../../../src/disks/find-disk.ts";
import { loadDefinition } from "../../../src/operator/definition/load.ts";
import type { VmDisk } from "../../../src/operator/vm-runner/vm-job.ts";
import { runInVm, type VmOptions } from "../../../src/operator/vm-runner/vm-run.ts";
import type { BaseReport } from "../../../src/schema/base/journal.ts";
import type { DiskFacts } from "../../../src/schema/facts.ts";
import type { StepData } from "../../../src/schema/plan.ts";
import type { Spec } from "../../../src/schema/spec.ts";
import type { Storage } from "../../../src/schema/storage.ts";
import { askTang } from "../../../src/steps/disk/ask-tang.ts";
import { partitionDisk } from "../../../src/steps/disk/partition-disk.ts";
import { stepData } from "../../../src/steps/step/step.ts";
import { writeFiles } from "../../../src/steps/tree/write-files.ts";
import { mountsOf } from "../../../src/storage/graph/check-storage.ts";
import { type StorageSteps, storageSteps } from "../../../src/storage/plan/storage-steps.ts";
import { digestOf } from "../../../src/util/digest.ts";
import type { Secret } from "../../../src/util/secret.ts";

export const mib = 2 ** 20;
export const epoch = 1_750_000_000;

/** Names of all layouts. */
export const layouts = readdirSync("imgbuild/layouts")
  .filter((name) => !name.includes("."))
  .sort();

export async function specOf(layout: string): Promise<Spec> {
  return (await loadDefinition(join("imgbuild/layouts", layout))).spec;
}

/** Raw files that stand for the disks of a machine; the last one belongs to nobody's plan. */
export interface Rack {
  readonly directory: string;
  readonly disks: readonly { readonly file: string; readonly facts: DiskFacts }[];
  readonly sectorSize: 512 | 4096;
  readonly bystander: { readonly file: string; readonly facts: DiskFacts };
}

export async function makeRack(
  directory: string,
  sizesMib: readonly number[],
  sectorSize: 512 | 4096 = 512,
): Promise<Rack> {
  mkdirSync(directory, { recursive: true });
  const make = async (name: string, sizeMib: number) => {
    const file = join(directory, `${name}.raw`);
    await writeFile(file, "");
    await truncate(file, sizeMib * mib);
    return { file, facts: { ...blank(`rack-${name}`, sizeMib * mib), sectorSize } };
  };
  const disks = await Promise.all(sizesMib.map((size, index) => make(`d${index}`, size)));
  const bystander = await make("bystander", 16);
  await writeFile(bystander.file, randomBytes(16 * mib));
  return { directory, disks, bystander, sectorSize };
}

function blank(serial: string, sizeBytes: number): DiskFacts {
  return {
    ...{ name: serial, serial, sizeBytes, sectorSize: 512, removable: false, readOnly: false },
    ...{ holders: [], mountPoints: [], partitions: [] },
  };
}

/** The rack's disks in the place of those that a definition names, in its order. */
export function placed(storage: Storage, rack: Rack): Record<string, DiskFacts> {
  const names = Object.keys(storage.disks);
  return Object.fromEntries(names.map((name, index) => [name, rack.disks[index]!.facts]));
}

export function stepsOn(
  spec: Spec,
  rack: Rack,
  seed: string,
  facts: Record<string, DiskFacts> = placed(spec.storage!, rack),
): StorageSteps {
  const steps = storageSteps(spec.storage!, facts, seed, epoch, spec.secrets);
  // The machine is on no network, and nothing of the ladder is bound to what a tang server says.
  return { ...steps, prepare: () => steps.prepare().filter(({ kind }) => kind !== askTang.kind) };
}

/** A file on each filesystem that is mounted, which says where it is. */
export function markers(storage: Storage, text: string): StepData {
  const mounts = mountsOf(storage).filter(({ kept }) => !kept);
  return stepData(writeFiles, "leaving a mark on each filesystem", {
    files: mounts.map(({ mount }) => ({ path: join(mount, "mark"), content: `${text} ${mount}\n` })),
  });
}

/** A table with nothing in it, on every disk: what was there before is gone, signatures and all. */
export function blankAll(rack: Rack): StepData[] {
  return rack.disks.map(({ facts }) => {
    const place = { startBytes: mib, sizeBytes: mib };
    const script = `label: gpt\nunit: sectors\n\n1 : start=2048, size=2048\n`;
    return stepData(partitionDisk, `clearing ${facts.name}`, {
      disk: identityOf(facts.name, facts),
      script,
      made: [place],
    });
  });
}

/** Runs steps in the base. A failure of the runner is a failure here. */
export async function inBase(
  rack: Rack,
  steps: { readonly prepare?: readonly StepData[]; readonly steps: readonly StepData[] },
  secrets: ReadonlyMap<string, Secret>,
  options: VmOptions,
): Promise<BaseReport> {
  const plan = {
    version: 1 as const,
    hostname: "rack",
    definition: digestOf(steps),
    prepare: [...(steps.prepare ?? [])],
    steps: [...steps.steps],
  };
  const disks: VmDisk[] = [...rack.disks, rack.bystander].map(({ file, facts }) => ({
    identity: identityOf(facts.name, facts),
    file,
    sectorSize: rack.sectorSize,
  }));
  const lock = { version: 1, packages: [], indices: [] } as never;
  return await runInVm({ plan, lock, disks, secrets, clock: epoch, directory: rack.directory }, options);
}

/** SHA-256 of a file, or of a part of it. */
export async function hashOf(
  file: string,
  part: { readonly startBytes: number; readonly sizeBytes: number } | undefined = undefined,
): Promise<string> {
  const hash = createHash("sha256");
  const range =
    part === undefined ? {} : { start: part.startBytes, end: part.startBytes + part.sizeBytes - 1 };
  for await (const chunk of createReadStream(file, { ...range, highWaterMark: 4 * mib })) hash.update(chunk);
  return hash.digest("hex");
}

/** Everything that a plan could write, hashed. */
export async function hashesOf(rack: Rack): Promise<string[]> {
  return await Promise.all([...rack.disks, rack.bystander].map(({ file }) => hashOf(file)));
}

/** Some bytes of a file. */
export async function bytesAt(file: string, at: number, length: number): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.alloc(length);
    await handle.read(buffer, 0, length, at);
    return buffer;
  } finally {
    await handle.close();
  }
}
