import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loaderInputs } from "../../boot/packages.ts";
import { settleTree, type TreeUsage } from "../../disks/filesystem/tree-usage.ts";
import type { StepData } from "../../schema/plan.ts";
import { kernelVersions } from "../../steps/boot/make-initramfs.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { hold } from "../../system/files/file-lock.ts";
import { putInPlace } from "../../system/files/one-piece.ts";
import { run } from "../../system/run/run.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf, sha256 } from "../../util/digest.ts";
import type { ImagePaths, ImagePlan } from "./image-plan.ts";
import { dropOld, type Layer } from "./layers.ts";

const copyMs = 3_600_000;

/** A disk whose filesystems hold a layer's tree, with its bootloaders and ESP; `usage` is how full each filesystem is. */
export interface LayerDisk {
  readonly file: string;
  /** Its name among what the cache has of the layer; undefined where it is not kept. */
  readonly name?: string;
  readonly usage: readonly TreeUsage[];
}

/** A disk being made beside its place. */
export interface DiskInMaking extends LayerDisk {
  readonly directory: string;
}

/** That many beside the newest are enough: others are of an initramfs or of packages that are no longer used. */
export const olderDisks = 1;

type ContextFor = (root: string, work: string) => StepContext;

/** Whether the cache has a disk of the layer; then the one that is wanted is likely to be there. */
export async function hasDisk(layer: Layer, plan: ImagePlan): Promise<boolean> {
  const names = await readdir(layer.directory);
  return names.some((name) => name.startsWith(diskName(layer, plan)) && !name.includes("."));
}

/** Makes the disk with the layer's tree; bootloaders and ESP are missing yet. Whoever calls this gives it up in the end. */
export async function beginDisk(
  layer: Layer,
  plan: ImagePlan,
  contextFor: ContextFor,
): Promise<DiskInMaking> {
  const directory = await mkdtemp(join(layer.directory, "disk.new-"));
  try {
    const paths = pathsIn(directory, layer.tree);
    await executeSteps(plan.disk(paths), allSteps, contextFor(layer.tree, layer.directory));
    const tree = new Tree(layer.tree);
    const usage = plan.filesystems.map(({ mount, below }) =>
      settleTree(
        tree.directory(mount),
        plan.epoch,
        below.map((path) => tree.directory(path)),
      ),
    );
    await writeFile(join(directory, "usage.json"), JSON.stringify(usage));
    return { directory, file: paths.image, usage };
  } catch (error) {
    await giveUp({ directory });
    throw error;
  }
}

/** Nothing is left of it, unless it has come to its place. */
export async function giveUp({ directory }: { readonly directory: string }): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * The disk with the bootloaders of `tree`, which differs from the layer's. It is found in the cache, or made of the one in the
 * making and, where `keep` allows, put there. Files of bootloaders are in the tree afterwards.
 */
export async function bootDisk(
  layer: Layer,
  plan: ImagePlan,
  options: {
    /** As the disk's own steps see it, and a directory of it. */
    readonly paths: ImagePaths;
    readonly context: StepContext;
    readonly keep: boolean;
    readonly disk: () => Promise<DiskInMaking>;
  },
): Promise<LayerDisk> {
  const { paths, context, keep } = options;
  const digest = await bootDigest(plan, paths);
  const name = `${diskName(layer, plan)}-${digest}`;
  const directory = join(layer.directory, name);
  if (keep && (await hold(directory))) {
    await executeSteps(withoutDisk(plan.boot(paths)), allSteps, context);
    const usage = JSON.parse(await readFile(join(directory, "usage.json"), "utf8")) as TreeUsage[];
    return { file: join(directory, "disk.raw"), name, usage };
  }
  const begun = await options.disk();
  // What may hold a secret is not in the cache, not even on its way.
  const disk = keep ? begun : { ...begun, file: paths.image };
  if (!keep) await copyDisk(begun.file, paths.image, context.signal);
  for (const one of [paths.esp, paths.xbootldr]) await mkdir(one, { recursive: true });
  const on = { ...paths, image: disk.file };
  await executeSteps([...plan.boot(on), ...plan.esp(on)], allSteps, context);
  if (!keep) return { file: disk.file, usage: disk.usage };
  await dropOld(layer, `${diskName(layer, plan)}-`, olderDisks);
  await putInPlace(begun.directory, directory);
  await giveUp(begun);
  return { file: join(directory, "disk.raw"), name, usage: disk.usage };
}

/** A disk's holes stay holes. */
export async function copyDisk(from: string, to: string, signal: AbortSignal): Promise<void> {
  await run(["cp", "--reflink=auto", "--sparse=auto", "--", from, to], { timeoutMs: copyMs, signal });
}

/** What of the boot steps concerns the tree alone: GRUB's menu, and the check of all but the disk, which was checked when it was made. */
function withoutDisk(steps: readonly StepData[]): StepData[] {
  return steps.flatMap((step): StepData[] => {
    if (step.kind === "write-files") return [step];
    if (step.kind !== "verify-boot") return [];
    const { esp: _esp, rootAt: _rootAt, cores: _cores, ...rest } = step;
    return [rest];
  });
}

/** Digest of all that bootloaders and ESP are made of: what their steps say, and the files of the tree that go into them. */
async function bootDigest(plan: ImagePlan, paths: ImagePaths): Promise<string> {
  const at = { image: "/image", tree: "/tree", esp: "/esp", xbootldr: "/xbootldr", scratch: "/scratch" };
  const steps = [...plan.boot(at), ...plan.esp(at)];
  const files = kernelVersions(paths.tree).flatMap((version) => [
    `/boot/vmlinuz-${version}`,
    `/boot/initrd.img-${version}`,
  ]);
  const tree = new Tree(paths.tree);
  const content = [...files, ...loaderInputs].map((path) => {
    const found = tree.read(path);
    return [path, found === undefined ? "" : sha256(found)];
  });
  return digestOf([steps, content]).slice(0, 32);
}

function diskName(layer: Layer, plan: ImagePlan): string {
  return `disk-${layoutDigest(layer, plan)}`;
}

/** Tells the disks apart that definitions with the same packages make of their layer. */
export function layoutDigest(layer: Layer, plan: ImagePlan): string {
  const steps = JSON.stringify(plan.disk(pathsIn("/made", layer.tree))).replaceAll(layer.tree, "/tree");
  return sha256(steps).slice(0, 32);
}

function pathsIn(directory: string, tree: string): ImagePaths {
  return {
    image: join(directory, "disk.raw"),
    tree,
    esp: join(directory, "esp"),
    xbootldr: join(directory, "xbootldr"),
    scratch: join(directory, "scratch"),
  };
}
