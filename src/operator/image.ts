import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { proxiesOf } from "../debian/proxy.ts";
import type { Lock } from "../schema/lock.ts";
import type { Plan, StepData } from "../schema/plan.ts";
import type { Spec } from "../schema/spec.ts";
import { executeSteps } from "../steps/execute.ts";
import { mkfsExt4Image } from "../steps/mkfs-ext4-image.ts";
import { mkfsVfatImage } from "../steps/mkfs-vfat-image.ts";
import { partitionImage } from "../steps/partition-image.ts";
import { allSteps } from "../steps/registry.ts";
import { stepData } from "../steps/step.ts";
import { swapFileImage } from "../steps/swap-file-image.ts";
import { mountsOf, writtenDisks } from "../storage/check-storage.ts";
import { fstab } from "../storage/fstab.ts";
import { layoutOf, sfdiskScript } from "../storage/gpt.ts";
import { filesystemUuid, hashSeed, swapUuid, vfatVolumeId } from "../storage/ids.ts";
import { run } from "../system/run.ts";
import { digestOf, uuidFrom } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { type BaseOptions, baseTree } from "./base.ts";
import { bootSteps, kernelCmdline } from "./boot-steps.ts";
import { requireTools } from "./doctor.ts";
import type { DefinitionFiles } from "./files.ts";
import { nativeContext } from "./native-context.ts";
import { epochOf, treeSteps } from "./tree.ts";

const sectorSize = 512;
const convertMs = 3_600_000;

export const imageFormats = ["raw", "qcow2", "tar", "dir"] as const;
export type ImageFormat = (typeof imageFormats)[number];

export interface ImageInputs {
  readonly spec: Spec;
  readonly lock: Lock;
  /** Digest of spec, lock and files. */
  readonly definition: string;
  readonly files: DefinitionFiles;
  readonly filesDir: string | undefined;
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Put at their declared paths; undefined leaves them out, as an image that is handed on must. */
  readonly secrets: ReadonlyMap<string, Secret> | undefined;
}

/** Builds one disk image offline, whole or not at all: everything happens in a directory beside the output. */
export async function buildImage(
  inputs: ImageInputs,
  output: string,
  format: ImageFormat,
  options: BaseOptions,
): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Fail("building needs root", { hint: "run the same command with sudo" });
  await requireTools("build", format === "qcow2" ? ["qemu-img"] : []);
  const to = resolve(output);
  await refuseOutput(to, format);
  await mkdir(dirname(to), { recursive: true });
  const work = await mkdtemp(join(dirname(to), `.${basename(to)}.imgbuild-`));
  try {
    // Nothing of a parent directory's group (mode g+s) may be handed down to the tree.
    await chmod(work, 0o700);
    const base = await baseTree(options);
    const tree = join(work, "tree");
    const context = nativeContext({
      root: tree,
      work,
      baseTree: base.tree,
      cache: options.cache,
      mirrors: inputs.mirrors,
      proxies: proxiesOf(options.env),
      files: inputs.filesDir,
      secrets: inputs.secrets ?? new Map(),
      log: options.log,
      signal: options.signal,
    });
    const plan = imagePlan(inputs, work, format === "raw" || format === "qcow2");
    await mkdir(join(work, "esp"));
    await executeSteps(plan.steps, allSteps, context);
    const made = await options.log.task(`writing ${to}`, () => convert(format, work, tree, options.signal));
    await rename(made, to);
  } finally {
    // A killed program's last write may still land while we clear up.
    await rm(work, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Only what can have been an image before is replaced. Told before the work, not after it. */
async function refuseOutput(to: string, format: ImageFormat): Promise<void> {
  const found = await lstat(to).catch(() => undefined);
  if (found === undefined) return;
  const hint = "name a path that does not exist yet";
  if (format !== "dir") {
    if (!found.isFile()) throw new Fail(`${to} is there, and is not a regular file`, { hint });
    return;
  }
  if (!found.isDirectory()) throw new Fail(`${to} is there, and is not a directory`, { hint });
  if ((await readdir(to)).length > 0) throw new Fail(`${to} is not empty`, { hint });
}

/** The steps of an offline build; paths lie in `work`. */
function imagePlan(inputs: ImageInputs, work: string, withDisk: boolean): Plan {
  const { spec, lock, definition } = inputs;
  const { storage } = spec;
  if (storage === undefined) throw new Fail("the definition has no storage; it is no bootable system");
  const written = writtenDisks(storage);
  const [first, ...more] = written;
  if (first === undefined || more.length > 0)
    throw new Fail(`the definition writes ${written.length} disks; an offline image holds one`);
  const [name, disk] = first;
  const seed = uuidFrom(definition, "image");
  const epoch = epochOf(lock);
  const image = join(work, "disk.raw");
  const tree = join(work, "tree");
  const layout = layoutOf(disk, disk.imageSize, sectorSize, { seed, name });
  const consoles = spec.boot?.consoles ?? [];
  const cmdline = kernelCmdline(spec, seed, consoles);
  const boot = bootSteps(spec, seed, {
    cmdline,
    consoles,
    esp: join(work, "esp"),
    scratch: join(work, "scratch"),
    disks: [{ layout, target: { image } }],
  });
  const steps: StepData[] = treeSteps(spec, lock, {
    fstab: fstab(storage, seed),
    mirrors: inputs.mirrors,
    packages: new Set(lock.packages.map((one) => one.name)),
    files: inputs.files,
    identity: inputs.secrets === undefined ? "image" : "image-with-secrets",
    cmdline,
    definition,
  });
  if (!withDisk) return { version: 1, hostname: spec.hostname, definition, steps };
  steps.push(
    stepData(partitionImage, "partitioning the image", {
      image,
      sizeBytes: disk.imageSize,
      script: sfdiskScript(layout),
    }),
    ...boot.filesystem,
    ...boot.grub,
    ...boot.verify,
  );
  const mounts = mountsOf(storage).filter((one) => !one.kept && one.disk === name);
  for (const part of layout.partitions) {
    const { content, startBytes: offsetBytes, sizeBytes } = part;
    if (content === undefined) continue;
    const label = content.label === undefined ? {} : { label: content.label };
    if (content.type === "vfat") {
      steps.push(
        stepData(mkfsVfatImage, `making the FAT filesystem for ${content.mount}`, {
          image,
          offsetBytes,
          sizeBytes,
          volumeId: vfatVolumeId(seed, name, part.name),
          directory: join(work, "esp"),
          mountPoint: join(tree, content.mount),
          epoch,
          ...label,
        }),
      );
      continue;
    }
    const below = mounts
      .filter(
        ({ mount }) =>
          mount !== content.mount && mount.startsWith(content.mount === "/" ? "/" : `${content.mount}/`),
      )
      .filter(
        ({ mount }) =>
          !mounts.some((other) => other.mount !== content.mount && mount.startsWith(`${other.mount}/`)),
      );
    const swap = content.mount === "/" ? storage.swapFile : undefined;
    steps.push(
      stepData(mkfsExt4Image, `making the ext4 filesystem for ${content.mount}`, {
        image,
        offsetBytes,
        sizeBytes,
        uuid: filesystemUuid(seed, name, part.name),
        hashSeed: hashSeed(seed, name, part.name),
        directory: join(tree, content.mount),
        mount: content.mount,
        without: below.map(({ mount }) => join(tree, mount)),
        reservedBytes: swap?.size ?? 0,
        epoch,
        ...label,
      }),
    );
    if (swap !== undefined)
      steps.push(
        stepData(swapFileImage, "making the swap file", {
          image,
          offsetBytes,
          path: swap.path,
          sizeBytes: swap.size,
          uuid: swapUuid(seed),
          epoch,
        }),
      );
  }
  return { version: 1, hostname: spec.hostname, definition, steps };
}

async function convert(
  format: ImageFormat,
  work: string,
  tree: string,
  signal: AbortSignal,
): Promise<string> {
  if (format === "raw") return join(work, "disk.raw");
  if (format === "dir") {
    await chmod(tree, 0o755);
    return tree;
  }
  const made = join(work, `made.${format}`);
  if (format === "qcow2") {
    await run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", join(work, "disk.raw"), made], {
      timeoutMs: convertMs,
      signal,
      hint: "apt-get install qemu-utils",
    });
    return made;
  }
  const plain = ["--sort=name", "--numeric-owner", "--one-file-system", "--xattrs"];
  await run(["tar", "--create", ...plain, "--file", made, "-C", tree, "."], { timeoutMs: convertMs, signal });
  return made;
}

/** Digest by which a definition is known: what it says, the exact packages, and its files. */
export function definitionDigest(spec: Spec, lock: Lock, files: DefinitionFiles): string {
  return digestOf({
    spec,
    packages: lock.packages,
    files: [...files.files].map(([path, { bytes, mode }]) => [
      path,
      digestOf(Buffer.from(bytes).toString("base64")),
      mode,
    ]),
    links: files.links,
  });
}
