import type { ImageInputs } from "./build.ts";
import type { TreePlan } from "./layers.ts";
import { epochOf, treeLayers } from "./tree.ts";

/** The plan for the tree of a definition that has no disks, as one for containers. */
export function treePlan(inputs: ImageInputs): TreePlan {
  const { spec, lock } = inputs;
  return {
    epoch: epochOf(lock),
    tree: treeLayers(spec, lock, {
      storage: { files: [{ path: "/etc/fstab", content: "" }], directories: [] },
      mirrors: inputs.mirrors,
      packages: new Set(lock.packages.map((one) => one.name)),
      files: inputs.files,
      identity: inputs.secrets === undefined ? "image" : "image-with-secrets",
      cmdline: [],
      definition: inputs.definition,
    }),
    filesystems: [],
  };
}
