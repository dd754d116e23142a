import { join } from "node:path";
import { type Change, changesOn } from "../../disks/filesystem/tree-delta.ts";
import { refuseOverfull, type TreeUsage, usageOfChanges } from "../../disks/filesystem/tree-usage.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Storage } from "../../schema/storage.ts";
import { partitionImage } from "../../steps/image/partition-image.ts";
import { stepData } from "../../steps/step/step.ts";
import { mountsOf, writtenDisks } from "../../storage/graph/check-storage.ts";
import { swapUuid } from "../../storage/graph/ids.ts";
import { contentType } from "../../storage/nodes/content-types.ts";
import { beyondFile } from "../../storage/system/native.ts";
import { type Layout, layoutOf, sfdiskScript } from "../../storage/table/gpt.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { Fail } from "../../util/fail.ts";
import { bootSteps, kernelCmdline } from "../plan/boot-steps.ts";
import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";
import { asImage, imageSeed, lastingOf, outermost, treePlan } from "./tree-plan.ts";

const sectorSize = 512;

/** Where the parts of a build are. */
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
  /** A host key of this build alone is in it, so that its disk is in no cache. */
  readonly hasOwnKey: boolean;
  /** The disk with filesystems that hold a tree; the ESP is missing. */
  disk(paths: ImagePaths): StepData[];
  /** Bootloaders in tree, ESP directory and disk, and the check that they will find everything. */
  boot(paths: ImagePaths): StepData[];
  /** The filesystems of the ESP and, where there is one, of the extended boot loader partition. */
  esp(paths: ImagePaths): StepData[];
  /** Changes to the tree that the filesystems of `image` hold; `doing` is what the log says. */
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

/** Whether the layout can be made in a virtual machine only. Anything else that is wrong with it is reported where it is made. */
export function needsVm(inputs: ImageInputs): boolean {
  try {
    imagePlan(inputs);
    return false;
  } catch (error) {
    return error instanceof NeedsVm;
  }
}

/** The plan for an image that is made natively. */
export function imagePlan(given: ImageInputs): ImagePlan {
  const inputs = asImage(given);
  const { spec } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage; it is no bootable system");
  const unable = beyondFile(storage);
  if (unable !== undefined) throw new NeedsVm(unable);
  const [name, disk] = writtenDisks(storage)[0]!;
  const seed = imageSeed(spec);
  const layout = layoutOf(disk, disk.imageSize, sectorSize, { seed, name });
  const { epoch, tree } = treePlan(inputs);
  const consoles = spec.boot?.consoles ?? [];
  const cmdline = kernelCmdline(spec, seed, consoles);
  const parts = imageParts(storage, layout, seed, epoch);
  const filesystems = parts.filter(({ mount, firmware }) => mount !== "" && !firmware);
  const unmounted = parts.filter(({ mount }) => mount === "");
  const lasting = lastingOf(inputs);
  const rootOffset = filesystems.find(({ mount }) => mount === "/")?.offsetBytes ?? 0;
  return {
    epoch,
    tree,
    filesystems,
    hasOwnKey: lasting !== undefined,
    disk: (paths) => [
      stepData(partitionImage, "partitioning the image", {
        image: paths.image,
        sizeBytes: disk.imageSize,
        script: sfdiskScript(layout),
      }),
      ...[...filesystems, ...unmounted].flatMap(({ make }) => make(paths)),
      ...filesystems.flatMap(({ swapFile }) => swapFile(paths.image)),
    ],
    boot: ({ image, esp, xbootldr, scratch }) => {
      const { filesystem, grub, verify } = bootSteps(spec, seed, {
        ...{ cmdline, consoles, esp, xbootldr, scratch, epoch, disks: [{ layout, target: { image } }] },
        lasting,
        rootAt: { image, offsetBytes: rootOffset },
      });
      return [...filesystem, ...grub, ...verify];
    },
    esp: (paths) => parts.filter(({ firmware }) => firmware).flatMap(({ make }) => make(paths)),
    patch: (image, changes, doing) => filesystems.flatMap(({ patch }) => patch(image, changes, doing)),
    refuseOverfull: (usage, changes) => {
      for (const [index, { mount, below, sizeBytes, reservedBytes }] of filesystems.entries()) {
        const more = usageOfChanges(changesOn(changes, mount, below));
        const bytes = usage[index]!.bytes + more.bytes;
        const inodes = usage[index]!.inodes + more.inodes;
        refuseOverfull({ bytes, inodes }, sizeBytes, reservedBytes, mount);
      }
    },
  };
}

interface Part extends ImageFilesystem {
  readonly firmware: boolean;
  make(paths: ImagePaths): StepData[];
  patch: ImagePlan["patch"];
  swapFile(image: string): StepData[];
}

/** What is in the partitions of an image; what is mounted nowhere has an empty mount. */
function imageParts(storage: Storage, { disk, partitions }: Layout, seed: string, epoch: number): Part[] {
  const mounts = mountsOf(storage)
    .filter((mounted) => !mounted.kept && mounted.disk === disk)
    .map(({ mount }) => mount);
  return partitions.flatMap(({ content, startBytes: offsetBytes, sizeBytes, name }): Part[] => {
    const steps = content === undefined ? undefined : contentType(content).image;
    if (content === undefined || steps === undefined) return [];
    const firmware = traitsOf(content.type).firmware === true;
    const mount = "mount" in content ? (content.mount ?? "") : "";
    const file = mount === "/" ? storage.swapFile : undefined;
    const reservedBytes = file?.size ?? 0;
    const below = outermost(mount, mounts);
    return [
      {
        ...{ mount, below, firmware, offsetBytes, sizeBytes, reservedBytes },
        make: ({ image, tree, esp, xbootldr }) =>
          steps.make(content, {
            ...{ image, offsetBytes, sizeBytes, scope: [disk, name], seed, epoch, reservedBytes },
            directory: !firmware ? join(tree, mount) : mount === "/xbootldr" ? xbootldr : esp,
            mountPoint: join(tree, mount),
            without: below.map((other) => join(tree, other)),
          }),
        patch: (image, changes, doing) => {
          const inside = changesOn(changes, mount, below);
          if (inside.length === 0) return [];
          return steps.patch?.(content, { image, offsetBytes, epoch }, inside, doing) ?? [];
        },
        swapFile: (image) =>
          file === undefined
            ? []
            : (steps.swapFile?.(
                { image, offsetBytes, epoch },
                { path: file.path, sizeBytes: reservedBytes, uuid: swapUuid(seed) },
              ) ?? []),
      },
    ];
  });
}
