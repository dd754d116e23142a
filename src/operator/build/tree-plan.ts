import { epochOf } from "../../debian/lock/lock-date.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { mountsOf, writtenDisks } from "../../storage/graph/check-storage.ts";
import { storageConfig } from "../../storage/system/storage-config.ts";
import { firstInstall } from "../../storage/table/first-install.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { digestOf, uuidFrom } from "../../util/digest.ts";
import { kernelCmdline, type Lasting } from "../plan/boot-steps.ts";
import type { ConfigureOptions } from "../plan/configure.ts";
import { lastingInImage } from "../plan/rescue-first.ts";
import { treeLayers } from "../plan/tree.ts";
import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";

const sectorSize = 512;
const noDisks = { files: [{ path: "/etc/fstab", content: "" }], directories: [] };

/** The plan for the tree of an image, of any layout and wherever its disks are made; also without disks, as for containers. */
export function treePlan(inputs: ImageInputs): TreePlan {
  return declaredTree(asImage(inputs));
}

/** The same for disks as the definition has them: what is kept is there, and stays. */
export function declaredTree(
  inputs: ImageInputs,
  identity: ConfigureOptions["identity"] = inputs.secrets === undefined ? "image" : "image-with-secrets",
): TreePlan {
  const { spec, lock } = inputs;
  const { storage } = spec;
  const seed = imageSeed(spec);
  const mounts = storage === undefined ? [] : mountsOf(storage).filter(({ kept }) => !kept);
  const paths = mounts.map(({ mount }) => mount);
  return {
    epoch: epochOf(lock),
    tree: treeLayers(spec, lock, {
      storage: storage === undefined ? noDisks : storageConfig(storage, seed, spec.secrets),
      mirrors: inputs.mirrors,
      packages: new Set(lock.packages.map((locked) => locked.name)),
      files: inputs.files,
      identity,
      cmdline: storage === undefined ? [] : kernelCmdline(spec, seed, spec.boot?.consoles ?? []),
      definition: inputs.definition,
    }),
    filesystems: mounts
      .filter(({ type }) => !filesystems[type].firmware)
      .map(({ mount }) => ({ mount, below: outermost(mount, paths) })),
  };
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

/** The mount points below another, the outermost only. */
export function outermost(mount: string, mounts: readonly string[]): string[] {
  const inside = (path: string, other: string) =>
    path !== other && path.startsWith(other === "/" ? "/" : `${other}/`);
  const below = mounts.filter((point) => inside(point, mount));
  return below.filter((point) => !below.some((other) => inside(point, other)));
}

/** Where the base stays in an image, if it does. */
export function lastingOf({ spec, lock, base }: ImageInputs): Lasting | undefined {
  if (base === undefined || spec.storage === undefined || !spec.boot?.rescue) return undefined;
  const disks = blankDisks(writtenDisks(spec.storage));
  return { places: lastingInImage({ spec, lock, base, disks }), base, inImage: true };
}

/** Disks of an image as an inspection would see them. The serials are no host's: these disks are found in our own machine alone. */
export function blankDisks(written: ReturnType<typeof writtenDisks>): Record<string, DiskFacts> {
  const disks = written.map(([name, disk], index): [string, DiskFacts] => {
    const serial = `imgbuild-${index}`;
    return [
      name,
      {
        ...{ name: serial, serial, sizeBytes: disk.imageSize, sectorSize, removable: false, readOnly: false },
        ...{ holders: [], mountPoints: [], partitions: [] },
      },
    ];
  });
  return Object.fromEntries(disks);
}
