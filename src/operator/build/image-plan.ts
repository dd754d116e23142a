import { join } from "node:path";
import { epochOf } from "../../debian/lock/lock-date.ts";
import { type Change, changesOn } from "../../disks/filesystem/tree-delta.ts";
import { refuseOverfull, type TreeUsage, usageOfChanges } from "../../disks/filesystem/tree-usage.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Storage } from "../../schema/storage.ts";
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
import { type Layout, layoutOf, sfdiskScript } from "../../storage/table/gpt.ts";
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
  const { spec, lock } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage; it is no bootable system");
  const unable = beyondFile(storage);
  if (unable !== undefined) throw new NeedsVm(unable);
  const [name, disk] = writtenDisks(storage)[0]!;
  const seed = imageSeed(spec);
  const layout = layoutOf(disk, disk.imageSize, sectorSize, { seed, name });
  const plan: DiskPlan = { storage, seed, name, layout, epoch: epochOf(lock) };
  const { epoch } = plan;
  const consoles = spec.boot?.consoles ?? [];
  const cmdline = kernelCmdline(spec, seed, consoles);
  const parts = partsOf(plan);
  const ext4 = parts.filter(({ type }) => type !== "vfat");
  const rootOffset = ext4.find(({ mount }) => mount === "/")?.offsetBytes ?? 0;
  return {
    epoch,
    tree: treeLayers(spec, lock, {
      storage: storageConfig(storage, seed, spec.secrets),
      mirrors: inputs.mirrors,
      packages: new Set(lock.packages.map((one) => one.name)),
      files: inputs.files,
      identity: inputs.secrets === undefined ? "image" : "image-with-secrets",
      cmdline,
      definition: inputs.definition,
    }),
    filesystems: ext4,
    disk: (paths) => [
      stepData(partitionImage, "partitioning the image", {
        image: paths.image,
        sizeBytes: disk.imageSize,
        script: sfdiskScript(layout),
      }),
      ...ext4.map((part) => ext4Step(plan, part, paths)),
      ...swapSteps(plan, paths),
      ...ext4.filter(({ reservedBytes }) => reservedBytes > 0).map((part) => swapFileStep(plan, part, paths)),
    ],
    boot: ({ image, esp, xbootldr, scratch }) => {
      const { filesystem, grub, verify } = bootSteps(spec, seed, {
        ...{ cmdline, consoles, esp, xbootldr, scratch, epoch, disks: [{ layout, target: { image } }] },
        rootAt: { image, offsetBytes: rootOffset },
      });
      return [...filesystem, ...grub, ...verify];
    },
    esp: (paths) => parts.filter(({ type }) => type === "vfat").map((part) => vfatStep(plan, part, paths)),
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
        const inodes = usage[index]!.inodes + more.inodes;
        refuseOverfull({ bytes, inodes }, sizeBytes, reservedBytes, mount);
      }
    },
  };
}

/** The one disk that the image is. */
interface DiskPlan {
  readonly storage: Storage;
  readonly seed: string;
  /** By which the definition knows it. */
  readonly name: string;
  readonly layout: Layout;
  readonly epoch: number;
}

/** A partition with a filesystem. */
interface Part extends ImageFilesystem {
  readonly type: "ext4" | "vfat";
  readonly part: string;
  readonly label: { readonly label?: string };
  /** The identity that the definition gives it. */
  readonly own: string | undefined;
}

function partsOf({ storage, name, layout }: DiskPlan): Part[] {
  const mounts = mountsOf(storage)
    .filter((one) => !one.kept && one.disk === name)
    .map(({ mount }) => mount);
  return layout.partitions.flatMap(({ content, startBytes: offsetBytes, sizeBytes, name: part }) => {
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
}

function ext4Step({ seed, name, epoch }: DiskPlan, given: Part, paths: ImagePaths): StepData {
  const { mount, below, part, label, own, ...place } = given;
  return stepData(mkfsExt4Image, `making the ext4 filesystem for ${mount}`, {
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
  });
}

function vfatStep({ seed, name, epoch }: DiskPlan, given: Part, paths: ImagePaths): StepData {
  const { mount, part, label, own, offsetBytes, sizeBytes } = given;
  return stepData(mkfsVfatImage, `making the FAT filesystem for ${mount}`, {
    image: paths.image,
    offsetBytes,
    sizeBytes,
    volumeId: own?.replace("-", "").toLowerCase() ?? vfatVolumeId(seed, name, part),
    directory: mount === "/xbootldr" ? paths.xbootldr : paths.esp,
    mountPoint: join(paths.tree, mount),
    epoch,
    ...label,
  });
}

function swapSteps({ seed, name, layout }: DiskPlan, { image }: ImagePaths): StepData[] {
  return layout.partitions.flatMap(({ content, startBytes: offsetBytes, sizeBytes, name: part }) => {
    if (content?.type !== "swap" || content.randomKey !== undefined) return [];
    const uuid = content.uuid ?? contentUuid(seed, "swap", name, part);
    const label = content.label === undefined ? {} : { label: content.label };
    return [
      stepData(swapPartitionImage, `making the swap partition ${part}`, {
        ...{ image, offsetBytes, sizeBytes, uuid, ...label },
      }),
    ];
  });
}

function swapFileStep({ storage, seed, epoch }: DiskPlan, part: Part, { image }: ImagePaths): StepData {
  const { path } = storage.swapFile!;
  const { offsetBytes, reservedBytes: sizeBytes } = part;
  return stepData(swapFileImage, "making the swap file", {
    ...{ image, offsetBytes, path, sizeBytes, uuid: swapUuid(seed), epoch },
  });
}

/** The mount points below one, without those that lie below another of them. */
export function outermost(mount: string, mounts: readonly string[]): string[] {
  const inside = (path: string, other: string) =>
    path !== other && path.startsWith(other === "/" ? "/" : `${other}/`);
  const below = mounts.filter((one) => inside(one, mount));
  return below.filter((one) => !below.some((other) => inside(one, other)));
}
