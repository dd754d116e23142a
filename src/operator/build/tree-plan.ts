import { epochOf } from "../../debian/lock/lock-date.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { storageConfig } from "../../storage/system/storage-config.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { kernelCmdline } from "../plan/boot-steps.ts";
import { treeLayers } from "../plan/tree.ts";
import type { ImageInputs } from "./build.ts";
import { asImage, imageSeed, outermost } from "./image-plan.ts";
import type { TreePlan } from "./layers.ts";

const noDisks = { files: [{ path: "/etc/fstab", content: "" }], directories: [] };

/** The plan for the tree of an image, whatever its layout is and wherever its disks are made; of one without disks too, as for containers. */
export function treePlan(given: ImageInputs): TreePlan {
  const inputs = asImage(given);
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
      packages: new Set(lock.packages.map((one) => one.name)),
      files: inputs.files,
      identity: inputs.secrets === undefined ? "image" : "image-with-secrets",
      cmdline: storage === undefined ? [] : kernelCmdline(spec, seed, spec.boot?.consoles ?? []),
      definition: inputs.definition,
    }),
    filesystems: mounts
      .filter(({ type }) => !filesystems[type].firmware)
      .map(({ mount }) => ({ mount, below: outermost(mount, paths) })),
  };
}
