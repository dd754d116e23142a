import { lstat, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { epochOf } from "../../debian/lock/lock-date.ts";
import type { Spec } from "../../schema/spec.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { requireParent } from "../../system/files/parent.ts";
import { inWorkDirectory } from "../../system/files/work-directory.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { silentLog } from "../../util/log.ts";
import { runBoth } from "../../util/promises.ts";
import { buildBase } from "../base/base.ts";
import { requireTools } from "../native/doctor.ts";
import { type ImageFormat, isDirectory, isDisk } from "../output/output.ts";
import { checkSigningKey } from "../plan/boot-steps.ts";
import {
  type Build,
  type BuildOptions,
  buildOf,
  finishSystem,
  type ImageInputs,
  layerOf,
  startSystem,
} from "./build.ts";
import { buildTree } from "./build-tree.ts";
import { fillDisk } from "./fill-disk.ts";
import { type Finish, placeDisks, placeTree } from "./finish-output.ts";
import { type ImagePaths, type ImagePlan, imagePlan } from "./image-plan.ts";
import { beginDisk, bootDisk, type DiskInMaking, giveUp, hasDisk, type LayerDisk } from "./layer-disk.ts";
import type { StartedTree } from "./script-cache.ts";
import { treePlan } from "./tree-plan.ts";
import { baseMachineTools, disksInVm, type MadeDisk } from "./vm-image.ts";
import { type VmPlan, vmPlan } from "./vm-plan.ts";

/**
 * Builds an image offline, whole or not at all: everything happens in a directory beside the output. Several disks, which `inVm`
 * may make, become files of a directory; then their names are given.
 */
export async function buildImage(
  given: ImageInputs,
  output: string,
  format: ImageFormat,
  options: BuildOptions & Finish,
): Promise<readonly string[]> {
  const disk = isDisk(format);
  await readyToBuild(given.spec, output, format, options);
  const inputs = disk && given.spec.boot?.rescue ? { ...given, base: await buildBase(options) } : given;
  checkSigningKey(inputs.spec, inputs.secrets ?? inputs.keys ?? new Map());
  const to = resolve(output);
  const vm = options.inVm ? vmPlan(inputs) : undefined;
  // Steps run side by side, so the umask is set for all of them.
  const own = process.umask(0o022);
  try {
    return await inWorkDirectory(to, async (work) => {
      const { compress, checksum, minimize } = options;
      const epoch = epochOf(inputs.lock);
      const secret = inputs.secrets !== undefined && inputs.secrets.size > 0;
      const finish = { format, compress, checksum, minimize, secret, work, to, epoch, log: options.log };
      if (vm !== undefined) {
        const build = await buildOf(inputs, vm, work, options);
        const disks = await buildDisksInVm(build, vm, inputs);
        return await placeDisks(disks, build.contextFor(work, work), finish);
      }
      if (!disk) {
        const build = await buildOf(inputs, treePlan(inputs), work, options);
        const made = await buildTree(build, format, { compress, ...inputs });
        return await placeTree(made, build.contextFor(work, work), finish);
      }
      const build = await buildOf(inputs, imagePlan(inputs), work, options);
      const disks = [{ name: "disk", file: await buildDisk(build) }];
      return await placeDisks(disks, build.contextFor(work, work), finish);
    });
  } finally {
    process.umask(own);
  }
}

/** What a build is refused for with any packages and secrets: looked at before a key is asked for. */
export async function readyToBuild(
  { storage }: Pick<Spec, "storage">,
  output: string,
  format: ImageFormat,
  { inVm }: { readonly inVm?: boolean | undefined },
): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Fail("building needs root", { hint: "run the same command with sudo" });
  await requireTools("build", [
    ...(isDisk(format) && format !== "raw" ? ["qemu-img"] : []),
    ...(inVm ? baseMachineTools : []),
  ]);
  const several = inVm === true && storage !== undefined && writtenDisks(storage).length > 1;
  await refuseOutput(resolve(output), isDirectory(format) || several);
  await requireParent(output);
}

/** The finished tree, on disks that the base makes. */
async function buildDisksInVm(
  build: Build<VmPlan>,
  plan: VmPlan,
  { lock, base, keys = new Map(), secrets = keys }: ImageInputs,
): Promise<readonly MadeDisk[]> {
  const { work, options } = build;
  await layerOf(build);
  const copy = await startSystem(build);
  try {
    const context = build.contextFor(copy.tree, work);
    await finishSystem(build, copy, context);
    return await disksInVm({ plan, lock, base, secrets }, context, work, options);
  } finally {
    await copy.close();
  }
}

/**
 * A raw disk. Packages are a layer of the cache, and so is a disk with their tree: what the definition says beyond them is laid over
 * the one and written into the other. It goes the same way whether the layers are there or not, so the image is the same.
 */
async function buildDisk(build: Build<ImagePlan>): Promise<string> {
  const { work, plan, layer, options } = build;
  const { signal } = options;
  await layerOf(build);
  const paths = {
    image: join(work, "disk.raw"),
    tree: join(work, "tree"),
    esp: join(work, "esp"),
    xbootldr: join(work, "xbootldr"),
    scratch: join(work, "scratch"),
  };
  let begun: DiskInMaking | undefined;
  const begin = async (stop: AbortSignal) => {
    begun ??= await beginDisk(layer, plan, (root, directory) => ({
      ...build.contextFor(root, directory),
      log: silentLog,
      signal: stop,
    }));
    return begun;
  };
  // Files under a mount point step aside while a disk is made, which must not be seen from above.
  const alone = plan.filesystems
    .flatMap(({ below }) => below)
    .some((path) => new Tree(layer.tree).list(path).length > 0);
  if (alone) await begin(signal);
  const isLikely = alone || (await hasDisk(layer, plan));
  let copy: StartedTree | undefined;
  try {
    copy = await startSystem(build);
    const made = await withBoot(build, copy, paths, { begin, isLikely });
    await fillDisk(build, copy, made, paths.image);
    return paths.image;
  } finally {
    if (begun !== undefined) await giveUp(begun);
    await copy?.close();
  }
}

/** Finishes the tree and, beside it, makes the disk with the layer's tree, unless one is likely to be there. */
async function withBoot(
  build: Build<ImagePlan>,
  copy: StartedTree,
  paths: ImagePaths,
  disk: { readonly begin: (signal: AbortSignal) => Promise<DiskInMaking>; readonly isLikely: boolean },
): Promise<LayerDisk> {
  const { work, plan, layer, options } = build;
  const context = build.contextFor(copy.tree, work);
  const [, keep] = await runBoth(options.signal, [
    async (both) => (disk.isLikely ? undefined : await disk.begin(both)),
    (both) => finishSystem(build, copy, { ...context, signal: both }),
  ]);
  return await bootDisk(layer, plan, {
    paths,
    context: build.contextFor(copy.tree, work, layer.directory),
    keep: keep && !plan.hasOwnKey,
    disk: () => disk.begin(options.signal),
  });
}

/** Only what can have been an image before is replaced. Refused before the work, not after it. */
export async function refuseOutput(to: string, isDirectory: boolean): Promise<void> {
  const found = await lstat(to).catch(() => undefined);
  if (found === undefined) return;
  const hint = "name a path that does not exist yet";
  if (!isDirectory) {
    if (!found.isFile()) throw new Fail(`${to} is there, and is not a regular file`, { hint });
    return;
  }
  if (!found.isDirectory()) throw new Fail(`${to} is there, and is not a directory`, { hint });
  if ((await readdir(to)).length > 0) throw new Fail(`${to} is not empty`, { hint });
}
