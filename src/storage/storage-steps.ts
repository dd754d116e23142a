import type { DiskFacts } from "../schema/facts.ts";
import type { StepData } from "../schema/plan.ts";
import type { Storage } from "../schema/storage.ts";
import { mkfsExt4, mkfsVfatDisk } from "../steps/mkfs-disk.ts";
import { mountPartition, swapFile, unmountTree } from "../steps/mount.ts";
import { partitionDisk } from "../steps/partition-disk.ts";
import { stepData } from "../steps/step.ts";
import { Fail } from "../util/fail.ts";
import { mountsOf, writtenDisks } from "./check-storage.ts";
import { type DiskIdentity, identityOf } from "./find-disk.ts";
import { type LaidPartition, type Layout, layoutOf, sfdiskScript } from "./gpt.ts";
import { filesystemUuid, hashSeed, swapUuid, vfatVolumeId } from "./ids.ts";
import { type StorageConfig, storageConfig } from "./storage-config.ts";

/** A written disk and where its partitions lie. */
export interface PlannedDisk {
  readonly identity: DiskIdentity;
  readonly layout: Layout;
}

/** All that a plan does with disks, as data; parents before what lies in them. */
export interface StorageSteps {
  readonly disks: readonly PlannedDisk[];
  /** Before the first write: what is open on the planned disks is closed, what is kept is verified. */
  readonly prepare: readonly StepData[];
  /** Tables, containers, filesystems, made anew; what was made stays open for `mount`. */
  readonly create: readonly StepData[];
  /** Opens what `create` made, in another boot. */
  readonly open: readonly StepData[];
  /** Mounts the tree; harmless where it is mounted. */
  readonly mount: readonly StepData[];
  /** Once, into the mounted tree: the swap file. */
  readonly fill: readonly StepData[];
  /** Unlocking by TPM or network, entered by the tree's own programs once it is complete. */
  readonly enroll: readonly StepData[];
  readonly unmount: readonly StepData[];
  /** The opposite of `open`. */
  readonly close: readonly StepData[];
  readonly config: StorageConfig;
}

/** The definition's storage on the disks that it was matched with. */
export function storageSteps(
  storage: Storage,
  matched: Readonly<Record<string, DiskFacts>>,
  seed: string,
  epoch: number,
): StorageSteps {
  const disks = writtenDisks(storage).map(([name, disk]) => {
    const seen = matched[name];
    if (seen === undefined) throw new Fail(`disk ${name} was not matched`);
    return {
      identity: identityOf(name, seen),
      layout: layoutOf(disk, seen.sizeBytes, seen.sectorSize, { seed, name }),
    };
  });
  const mounts = mountSteps(storage, disks);
  return {
    disks,
    prepare: [],
    create: [
      ...disks.map(({ identity, layout }) =>
        stepData(partitionDisk, `partitioning ${showDisk(identity)}`, {
          disk: identity,
          script: sfdiskScript(layout),
        }),
      ),
      ...disks.flatMap(({ identity, layout }) =>
        layout.partitions.flatMap((part) => formatStep(identity, part, seed, epoch)),
      ),
    ],
    open: [],
    mount: mounts.steps,
    fill:
      storage.swapFile === undefined
        ? []
        : [
            stepData(swapFile, "making the swap file", {
              path: storage.swapFile.path,
              sizeBytes: storage.swapFile.size,
              uuid: swapUuid(seed),
            }),
          ],
    enroll: [],
    unmount: [stepData(unmountTree, "flushing and unmounting", { paths: [...mounts.paths].reverse() })],
    close: [],
    config: storageConfig(storage, seed),
  };
}

/** The place of a partition, as steps name it. */
export function placeOf(disk: DiskIdentity, { number, startBytes, sizeBytes }: LaidPartition) {
  return { disk, number, startBytes, sizeBytes };
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
function mountSteps(storage: Storage, disks: readonly PlannedDisk[]): { steps: StepData[]; paths: string[] } {
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

function showDisk({ name, serial, sizeBytes }: DiskIdentity): string {
  return `${name} (serial ${serial ?? "none"}, ${Math.round(sizeBytes / 2 ** 20)} MiB)`;
}
