import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Surroundings } from "../../system/files/cache.ts";
import { namespaceTroubles } from "../../system/user/namespace-troubles.ts";
import type { Log } from "../../util/log.ts";
import type { BuildInputs } from "../build/build.ts";
import type { TreePlan } from "../build/layers.ts";
import { workAsRoot } from "../native/ordinary-user.ts";
import { findPackedTree, makePackedTree, type PackedTree, packedPlace } from "./packed-tree.ts";

/** The trees that this machine has, and can make. */
export interface Trees {
  /** Why none can be made here. */
  problem(): Promise<string | undefined>;
  find(made: TreePlan): Promise<PackedTree | undefined>;
  /** Takes it from the cache too. */
  make(inputs: BuildInputs, made: TreePlan, log: Log): Promise<PackedTree>;
}

/** What is packed where: plain data, without a secret. */
interface PackJob {
  readonly inputs: BuildInputs;
  readonly made: TreePlan;
  readonly place: string;
}

/** Root makes them here; for anybody else another process does, as root of a user namespace, and all else keeps the user's own ids. */
export function treesHere(options: Surroundings): Trees {
  const isRoot = process.getuid?.() === 0;
  return {
    problem: async () => {
      const [trouble] = isRoot ? [] : await namespaceTroubles();
      return trouble === undefined
        ? undefined
        : `making a tree needs root, or a user namespace, which cannot be had: ${trouble.reason}`;
    },
    find: async (made) => await findPackedTree(await packedPlace(made, options.cache)),
    make: async ({ spec, filesDir, mirrors, keepers }, made, log) => {
      const place = await packedPlace(made, options.cache);
      const inputs = { spec: { secrets: spec.secrets }, filesDir, mirrors, keepers, secrets: undefined };
      const own = { ...options, log };
      if (isRoot) await makePackedTree(inputs, made, place, own);
      else await packElsewhere({ inputs, made, place }, own);
      const packed = await findPackedTree(place);
      if (packed === undefined) throw new Error(`${place} was made, and is not there`);
      return packed;
    },
  };
}

/** What `packElsewhere` has asked for. */
export async function packJob(file: string, options: Surroundings): Promise<void> {
  const { inputs, made, place } = JSON.parse(await readFile(file, "utf8")) as PackJob;
  await makePackedTree(inputs, made, place, options);
}

async function packElsewhere(job: PackJob, options: Surroundings): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-pack-"));
  try {
    const file = join(directory, "job.json");
    await writeFile(file, JSON.stringify(job), { mode: 0o600 });
    await workAsRoot(["cache", "pack", file], options, {
      what: "making the tree",
      instead: "deploy with --build-on target",
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
