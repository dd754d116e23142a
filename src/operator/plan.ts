import type { DiskFacts, Facts } from "../schema/facts.ts";
import { type Plan, type StepData, targetRoot } from "../schema/plan.ts";
import { keepBase } from "../steps/keep-base.ts";
import { mkfsExt4, mkfsVfatDisk } from "../steps/mkfs-disk.ts";
import { mountPartition, swapFile, unmountTree } from "../steps/mount.ts";
import { nameBootEntry } from "../steps/name-boot-entry.ts";
import { partitionDisk } from "../steps/partition-disk.ts";
import { stepData } from "../steps/step.ts";
import { mountsOf, writtenDisks } from "../storage/check-storage.ts";
import { type DiskIdentity, identityOf } from "../storage/find-disk.ts";
import { fstab } from "../storage/fstab.ts";
import { type LaidPartition, type Layout, layoutOf, sfdiskScript } from "../storage/gpt.ts";
import { filesystemUuid, hashSeed, swapUuid, vfatVolumeId } from "../storage/ids.ts";
import { digestOf, uuidFrom } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import { bootSteps, kernelCmdline } from "./boot-steps.ts";
import type { DeployInputs } from "./deploy-run.ts";
import { cacheDir } from "./takeover.ts";
import { epochOf, treeSteps } from "./tree.ts";

/** Files of the making that go with the base; RAM. */
const scratch = "/run/imgbuild/scratch";

/**
 * Everything the base will do on the disks, as data. The same definition, lock and machine (in the same boot) give the same
 * plan, so that a plan can be read, approved by its digest, and deployed later.
 */
export function deployPlan(
  inputs: Pick<DeployInputs, "spec" | "lock" | "definition" | "files" | "links" | "base">,
  about: {
    readonly facts: Pick<Facts, "machineId" | "bootId" | "consoles" | "firmware">;
    readonly disks: Readonly<Record<string, DiskFacts>>;
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
  },
): Plan {
  const { spec, lock, definition } = inputs;
  const { facts } = about;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage");
  const seed = uuidFrom(digestOf([definition, facts.machineId, facts.bootId]), "deploy");
  const epoch = epochOf(lock);
  const disks = writtenDisks(storage).map(([name, disk]) => {
    const seen = about.disks[name];
    if (seen === undefined) throw new Fail(`disk ${name} was not matched`);
    return {
      identity: identityOf(name, seen),
      layout: layoutOf(disk, seen.sizeBytes, seen.sectorSize, { seed, name }),
    };
  });
  const cmdline = kernelCmdline(spec, seed, facts.consoles);
  const boot = bootSteps(spec, seed, {
    cmdline,
    consoles: facts.consoles,
    esp: `${targetRoot}/efi`,
    scratch,
    disks: disks.map(({ identity, layout }) => ({ layout, target: { disk: identity } })),
  });
  const mounts = mountSteps(storage, disks);
  const steps: StepData[] = [
    ...disks.map(({ identity, layout }) =>
      stepData(partitionDisk, `partitioning ${showDisk(identity)}`, {
        disk: identity,
        script: sfdiskScript(layout),
      }),
    ),
    ...disks.flatMap(({ identity, layout }) =>
      layout.partitions.flatMap((part) => formatStep(identity, part, seed, epoch)),
    ),
    ...mounts.steps,
    ...(storage.swapFile === undefined
      ? []
      : [
          stepData(swapFile, "making the swap file", {
            path: storage.swapFile.path,
            sizeBytes: storage.swapFile.size,
            uuid: swapUuid(seed),
          }),
        ]),
    ...treeSteps(spec, lock, {
      fstab: fstab(storage, seed),
      mirrors: about.mirrors,
      packages: new Set(lock.packages.map((one) => one.name)),
      files: { files: inputs.files, links: inputs.links },
      identity: "deploy",
      cmdline,
      definition,
    }),
    ...boot.filesystem,
    ...boot.grub,
    ...boot.verify,
    stepData(keepBase, "keeping the base for the next deploy", keptFiles(inputs.base)),
    stepData(unmountTree, "flushing and unmounting", { paths: [...mounts.paths].reverse() }),
    // Last: the firmware is pointed to nothing that is not whole and on the disk.
    ...(facts.firmware === "uefi"
      ? disks.flatMap(({ identity, layout }) => bootEntry(identity, layout, spec.hostname))
      : []),
  ];
  return { version: 1, hostname: spec.hostname, definition, steps };
}

/** What the base has to be, byte for byte, to be found in the new system's cache. */
function keptFiles({ digest, ...files }: DeployInputs["base"]) {
  const wanted = (["kit", "kernel", "outer", "squashfs"] as const).map((name) => ({
    name,
    size: files[name].size,
    sha256: files[name].sha256,
  }));
  return { directory: `${cacheDir}/${digest}`, files: wanted };
}

function formatStep(disk: DiskIdentity, part: LaidPartition, seed: string, epoch: number): StepData[] {
  const { content } = part;
  if (content === undefined) return [];
  const partition = placeOf(disk, part);
  const label = content.label === undefined ? {} : { label: content.label };
  if (content.type === "vfat")
    return [
      stepData(mkfsVfatDisk, `formatting ${part.name} as FAT for ${content.mount}`, {
        partition,
        volumeId: vfatVolumeId(seed, disk.name, part.name),
        epoch,
        ...label,
      }),
    ];
  return [
    stepData(mkfsExt4, `formatting ${part.name} as ext4 for ${content.mount}`, {
      partition,
      uuid: filesystemUuid(seed, disk.name, part.name),
      hashSeed: hashSeed(seed, disk.name, part.name),
      ...label,
    }),
  ];
}

/** Written filesystems in mount order. Kept ones are not mounted: what is not mounted cannot be written by accident. */
function mountSteps(
  storage: Parameters<typeof mountsOf>[0],
  disks: readonly { identity: DiskIdentity; layout: Layout }[],
): { steps: StepData[]; paths: string[] } {
  const steps: StepData[] = [];
  const paths: string[] = [];
  for (const mounted of mountsOf(storage)) {
    if (mounted.kept) continue;
    const disk = disks.find(({ identity }) => identity.name === mounted.disk);
    const part = disk?.layout.partitions.find(({ name }) => name === mounted.partition);
    if (disk === undefined || part === undefined) throw new Fail(`nothing is laid out for ${mounted.mount}`);
    steps.push(
      stepData(mountPartition, `mounting ${mounted.mount}`, {
        partition: placeOf(disk.identity, part),
        type: mounted.type,
        path: mounted.mount,
      }),
    );
    paths.push(mounted.mount);
  }
  return { steps, paths };
}

function bootEntry(disk: DiskIdentity, layout: Layout, label: string): StepData[] {
  return layout.partitions
    .filter(({ type }) => type === "esp")
    .map((part) =>
      stepData(nameBootEntry, "entering it in the firmware's boot list", {
        partition: placeOf(disk, part),
        label,
      }),
    );
}

function placeOf(disk: DiskIdentity, { number, startBytes, sizeBytes }: LaidPartition) {
  return { disk, number, startBytes, sizeBytes };
}

function showDisk({ name, serial, sizeBytes }: DiskIdentity): string {
  return `${name} (serial ${serial ?? "none"}, ${Math.round(sizeBytes / 2 ** 20)} MiB)`;
}
