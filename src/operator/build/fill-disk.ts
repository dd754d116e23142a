import { join } from "node:path";
import { type Change, changesApart, treeDelta, withDigest } from "../../disks/filesystem/tree-delta.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { digestOf } from "../../util/digest.ts";
import type { Build } from "./build.ts";
import type { ImagePlan } from "./image-plan.ts";
import { isInitramfsOutput } from "./initramfs-cache.ts";
import { copyDisk, type LayerDisk, layoutDigest, olderDisks } from "./layer-disk.ts";
import { dropOld } from "./layers.ts";
import type { StartedTree } from "./script-cache.ts";
import { leafPaths } from "./scriptless-packages.ts";

/**
 * Puts a disk with the layer's tree at `image` and has it hold the finished one. Leaves and initramfs come first, and the disk that
 * has them is kept where nothing of it is secret: after a file was edited hardly more than that file is written. The order is always
 * the same, with and without a cache, and so is the image.
 */
export async function fillDisk(
  build: Build<ImagePlan>,
  copy: StartedTree,
  disk: LayerDisk,
  image: string,
): Promise<void> {
  const { work, plan, layer, options } = build;
  const context = build.contextFor(copy.tree, work, layer.directory);
  const { upper } = copy;
  const changes = treeDelta(layer.tree, copy.tree, { upper, epoch: plan.epoch, since: context.began });
  plan.refuseOverfull(disk.usage, changes);
  const isLeaf = leafPaths(plan.tree, copy.tree);
  const { first, rest } = changesApart(changes, (path) => isLeaf(path) || isInitramfsOutput(path));
  const patch = async (file: string, part: readonly Change[], doing: string) =>
    await executeSteps(plan.patch(file, part, doing), allSteps, context);
  const grow = (file: string) => patch(file, first, "adding the initramfs and small packages to");
  if (disk.name === undefined || !build.system.keep || first.length === 0) {
    if (disk.file !== image) await copyDisk(disk.file, image, options.signal);
    await grow(image);
  } else {
    const prefix = `filled-${layoutDigest(layer, plan)}-`;
    const name = `${prefix}${digestOf([disk.name, first.map(withDigest)]).slice(0, 32)}`;
    const directory = join(layer.directory, name);
    const file = join(directory, "disk.raw");
    await inOnePiece(directory, async (into) => {
      const growing = join(into, "disk.raw");
      await copyDisk(disk.file, growing, options.signal);
      await grow(growing);
      await dropOld(layer, prefix, olderDisks);
    });
    await copyDisk(file, image, options.signal);
  }
  await patch(image, rest, "adding the system's own files to");
}
