import { join } from "node:path";
import { epochOf } from "../../debian/lock/lock-date.ts";
import { type Change, changesOn } from "../../disks/filesystem/tree-delta.ts";
import { refuseOverfull, type TreeUsage, usageOfChanges } from "../../disks/filesystem/tree-usage.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import { mkfsExt4Image } from "../../steps/image/mkfs-ext4-image.ts";
import { mkfsVfatImage } from "../../steps/image/mkfs-vfat-image.ts";
import { partitionImage } from "../../steps/image/partition-image.ts";
import { patchExt4Image } from "../../steps/image/patch-ext4-image.ts";
import { swapFileImage } from "../../steps/image/swap-file-image.ts";
import { swapPartitionImage } from "../../steps/image/swap-partition-image.ts";
import { stepData } from "../../steps/step/step.ts";
import { mountsOf, writtenDisks } from "../../storage/graph/check-storage.ts";
import { contentUuid, filesystemUuid, hashSeed, swapUuid, vfatVolumeId } from "../../storage/graph/ids.ts";
import { beyondFile } from "../../storage/system/native.ts";
import { storageConfig } from "../../storage/system/storage-config.ts";
import { firstInstall } from "../../storage/table/first-install.ts";
import { layoutOf, sfdiskScript } from "../../storage/table/gpt.ts";
import { digestOf, uuidFrom } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { bootSteps, kernelCmdline } from "../plan/boot-steps.ts";
import { treeLayers } from "../plan/tree.ts";
import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";

const sectorSize = 512;

/** Where the parts of a build lie. */
export interface ImagePaths {
  readonly image: string;
  readonly tree: string;
  readonly esp: string;
  readonly xbootldr: string;
  readonly scratch: string;
}

/** A filesystem for Linux' files in the image. */
interface ImageFilesystem {
  readonly mount: string;
  /** Where others are mounted below it, the outermost only. */
  readonly below: readonly string[];
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly reservedBytes: number;
}

/** An offline build as steps. */
export interface ImagePlan extends TreePlan {
  readonly filesystems: readonly ImageFilesystem[];
  /** The disk with filesystems that hold a tree; the ESP is missing. */
  disk(paths: ImagePaths): StepData[];
  /** Bootloaders in tree, ESP directory and disk, and the check that they will find everything. */
  boot(paths: ImagePaths): StepData[];
  /** The filesystems of the ESP and, where there is one, of the extended boot loader partition. */
  esp(paths: ImagePaths): StepData[];
  /** Changes to the tree that the filesystems of `image` hold; `doing` tells what comes to or goes from them. */
  patch(image: string, changes: readonly Change[], doing: string): StepData[];
  /** Fails where a filesystem has no room for changes to the tree whose usage is given. */
  refuseOverfull(usage: readonly TreeUsage[], changes: readonly Change[]): void;
}

/** A layout that cannot be made without the kernel's help; the base can, in a virtual machine. */
export class NeedsVm extends Fail {
  constructor(message: string) {
    super(message, { hint: "`imgbuild build --in-vm` has the base make it in a virtual machine" });
  }
}

/** Whether the layout can be made in a virtual machine only. Whatever else is wrong with it is told by who makes it. */
export function needsVm(inputs: ImageInputs): boolean {
  try {
    imagePlan(inputs);
    return false;
  } catch (error) {
    return error instanceof NeedsVm;
  }
}

/** An image's UUIDs come of name and storage alone, so that they stay when a file is edited. */
export function imageSeed({ hostname, storage }: Spec): string {
  return uuidFrom(digestOf({ hostname, storage }), "image");
}

/** The definition as an image has it: there is nothing yet to keep, so all of it is made. */
export function asImage(inputs: ImageInputs): ImageInputs {
  const { spec } = inputs;
  return spec.storage === undefined
    ? inputs
    : { ...inputs, spec: { ...spec, storage: firstInstall(spec.storage) } };
}

/** The plan for an image that is made natively. */
export function imagePlan(given: ImageInputs): ImagePlan {
  const inputs = asImage(given);
  const { spec, lock, definition } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage; it is no bootable system");
  const unable = beyondFile(storage);
  if (unable !== undefined) throw new NeedsVm(unable);
  const [name, disk] = writtenDisks(storage)[0]!;
  const seed = imageSeed(spec);
  const epoch = epochOf(lock);
  const layout = layoutOf(disk, disk.imageSize, sectorSize, { seed, name });
  const consoles = spec.boot?.consoles ?? [];
  const cmdline = kernelCmdline(spec, seed, consoles);
  const tree = treeLayers(spec, lock, {
    storage: storageConfig(storage, seed, spec.secrets),
    mirrors: inputs.mirrors,
    packages: new Set(lock.packages.map((one) => one.name)),
    files: inputs.files,
    identity: inputs.secrets === undefined ? "image" : "image-with-secrets",
    cmdline,
    definition,
  });
  const mounts = mountsOf(storage)
    .filter((one) => !one.kept && one.disk === name)
    .map(({ mount }) => mount);
  const parts = layout.partitions.flatMap(({ content, startBytes: offsetBytes, sizeBytes, name: part }) => {
    if (content?.type !== "ext4" && content?.type !== "vfat") return [];
    const label = content.label === undefined ? {} : { label: content.label };
    const reservedBytes = content.mount === "/" ? (storage.swapFile?.size ?? 0) : 0;
    const { mount, type } = content;
    return [
      {
        ...{ type, mount, offsetBytes, sizeBytes, part, label, reservedBytes },
        ...{ own: content.uuid, below: outermost(mount, mounts) },
      },
    ];
  });
  const ext4 = parts.filter(({ type }) => type !== "vfat");
  const rootOffset = ext4.find(({ mount }) => mount === "/")?.offsetBytes ?? 0;
  const swaps = layout.partitions.flatMap(({ content, startBytes, sizeBytes, name: part }) =>
    content?.type === "swap" && content.randomKey === undefined
      ? [{ offsetBytes: startBytes, sizeBytes, part, own: content.uuid, label: content.label }]
      : [],
  );
  const bootOf = ({ image, esp, xbootldr, scratch }: ImagePaths) =>
    bootSteps(spec, seed, {
      ...{ cmdline, consoles, esp, xbootldr, scratch, epoch, disks: [{ layout, target: { image } }] },
      rootAt: { image, offsetBytes: rootOffset },
    });
  return {
    epoch,
    tree,
    filesystems: ext4,
    disk: (paths) => [
      stepData(partitionImage, "partitioning the image", {
        image: paths.image,
        sizeBytes: disk.imageSize,
        script: sfdiskScript(layout),
      }),
      ...ext4.map(({ mount, below, part, label, own, ...place }) =>
        stepData(mkfsExt4Image, `making the ext4 filesystem for ${mount}`, {
          image: paths.image,
          offsetBytes: place.offsetBytes,
          sizeBytes: place.sizeBytes,
          uuid: own ?? filesystemUuid(seed, name, part),
          hashSeed: hashSeed(seed, name, part),
          directory: join(paths.tree, mount),
          mount,
          without: below.map((other) => join(paths.tree, other)),
          reservedBytes: place.reservedBytes,
          epoch,
          ...label,
        }),
      ),
      ...swaps.map(({ part, own, label, ...place }) =>
        stepData(swapPartitionImage, `making the swap partition ${part}`, {
          image: paths.image,
          ...place,
          uuid: own ?? contentUuid(seed, "swap", name, part),
          ...(label === undefined ? {} : { label }),
        }),
      ),
      ...ext4
        .filter(({ reservedBytes }) => reservedBytes > 0)
        .map(({ offsetBytes, reservedBytes }) =>
          stepData(swapFileImage, "making the swap file", {
            image: paths.image,
            offsetBytes,
            path: storage.swapFile!.path,
            sizeBytes: reservedBytes,
            uuid: swapUuid(seed),
            epoch,
          }),
        ),
    ],
    boot: (paths) => {
      const { filesystem, grub, verify } = bootOf(paths);
      return [...filesystem, ...grub, ...verify];
    },
    esp: (paths) =>
      parts
        .filter(({ type }) => type === "vfat")
        .map(({ mount, part, label, own, offsetBytes, sizeBytes }) =>
          stepData(mkfsVfatImage, `making the FAT filesystem for ${mount}`, {
            image: paths.image,
            offsetBytes,
            sizeBytes,
            volumeId: own?.replace("-", "").toLowerCase() ?? vfatVolumeId(seed, name, part),
            directory: mount === "/xbootldr" ? paths.xbootldr : paths.esp,
            mountPoint: join(paths.tree, mount),
            epoch,
            ...label,
          }),
        ),
    patch: (image, changes, doing) =>
      ext4.flatMap(({ mount, below, offsetBytes }) => {
        const inside = changesOn(changes, mount, below);
        const input = { image, offsetBytes, changes: inside, mount, epoch };
        return inside.length === 0
          ? []
          : [stepData(patchExt4Image, `${doing} the filesystem for ${mount}`, input)];
      }),
    refuseOverfull: (usage, changes) => {
      for (const [index, { mount, below, sizeBytes, reservedBytes }] of ext4.entries()) {
        const more = usageOfChanges(changesOn(changes, mount, below));
        const bytes = usage[index]!.bytes + more.bytes;
        refuseOverfull(
          { bytes, inodes: usage[index]!.inodes + more.inodes },
          sizeBytes,
          reservedBytes,
          mount,
        );
      }
    },
  };
}

/** The mount points below one, without those that lie below another of them. */
export function outermost(mount: string, mounts: readonly string[]): string[] {
  const inside = (path: string, other: string) =>
    path !== other && path.startsWith(other === "/" ? "/" : `${other}/`);
  const below = mounts.filter((one) => inside(one, mount));
  return below.filter((one) => !below.some((other) => inside(one, other)));
}
