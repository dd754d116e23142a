import type { Surroundings } from "../../system/files/cache.ts";
import type { Log } from "../../util/log.ts";
import type { ImageInputs } from "../build/build.ts";
import type { TreePlan } from "../build/layers.ts";
import { findPackedTree, type PackedTree, packedTree } from "./packed-tree.ts";

/** The trees that this machine has, and can make. */
export interface Trees {
  /** Why none can be made here. */
  problem(): Promise<string | undefined>;
  find(made: TreePlan): Promise<PackedTree | undefined>;
  /** Takes it from the cache too. */
  make(inputs: ImageInputs, made: TreePlan, log: Log): Promise<PackedTree>;
}

export function treesHere(options: Surroundings): Trees {
  return {
    problem: async () =>
      process.getuid?.() === 0 ? undefined : "making a tree needs root, or a user namespace",
    find: (made) => findPackedTree(made, options),
    make: (inputs, made, log) => packedTree(inputs, made, { ...options, log }),
  };
}
