import { accessSync, constants } from "node:fs";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { keepersFor } from "../../debian/archive/keepers.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { epochOf } from "../../debian/lock/lock-date.ts";
import type { StepData } from "../../schema/plan.ts";
import { kernelVersions } from "../../steps/boot/make-initramfs.ts";
import { bootstrapTree } from "../../steps/packages/bootstrap-tree.ts";
import { installPackages } from "../../steps/packages/install-packages.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import { stepData } from "../../steps/step/step.ts";
import { finishTree } from "../../steps/tree/finish-tree.ts";
import { placeFiles } from "../../steps/tree/place-files.ts";
import { writeFiles } from "../../steps/tree/write-files.ts";
import { toolRun } from "../../system/door/chroot.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { hold } from "../../system/files/file-lock.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { plainEnv } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf, sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { readFiles } from "../definition/files.ts";
import { watchdogs } from "../inspect/watchdogs.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";
import { requireTools } from "../native/doctor.ts";
import { nativeContext } from "../native/native-context.ts";
import { basePlaces, makeBaseAsRoot } from "../native/ordinary-user.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import { bundleRunner } from "./bundle.ts";
import { libraryClosure, missingLibraries } from "./libraries.ts";
import { mediumOnly } from "./medium-parts.ts";
import { loadOrder, missingDependencies, moduleName, parseModulesDep } from "./modules.ts";
import { packBase } from "./pack.ts";
import { pruneTree } from "./prune.ts";
import { sourceDigest } from "./source-digest.ts";

/** Raised when the way in which a base's tree is made changes its result. */
const treeVersion = 2;
/** The same for what is packed out of it. */
const packVersion = 2;
/** What the outer archive loads before it can mount the squashfs. */
const outerModules = ["loop", "squashfs", "overlay"];
const squashMs = 1_800_000;
const libraries = [onlyArchitecture.libraries, "usr/lib64", "usr/lib"];

/** The base's tree, in which tools run here; and what is packed from it. */
interface BaseTree {
  readonly tree: string;
  readonly directory: string;
  readonly digest: string;
}

/** Where the base's definition is: beside the sources. */
export function baseDefinition(): string {
  return join(dirname(fileURLToPath(import.meta.url)), "../../../initramfs");
}

/** The base as files to ship; made once for each definition, lock and runner, then found in the cache. */
export async function buildBase(options: Surroundings): Promise<BaseFiles> {
  const { digest: treeDigest } = await treeInputs();
  const init = await readFile(join(baseDefinition(), "init"));
  const runner = await options.log.task("bundling the runner", bundleRunner);
  const digest = digestOf([packVersion, treeDigest, sha256(init), sha256(runner)]).slice(0, 32);
  const { own, roots } = await basePlaces(options.cache);
  // What is packed has no owners outside, and is the same whoever made it.
  let directory = [own, roots].map((place) => join(place, digest)).find(isReadable);
  if (directory === undefined || !(await hold(directory))) {
    directory = join(own, digest);
    if (process.getuid?.() !== 0) await makeBaseAsRoot(options);
    else {
      const tree = await baseTree(options);
      await inOnePiece(directory, async (into) => {
        await packBase(tree.directory, into, { init, runner });
        await chmod(into, 0o755);
      });
    }
  }
  const at = directory;
  const info = async (name: string) => {
    const path = join(at, name);
    return { path, size: (await stat(path)).size, sha256: (await readFile(`${path}.sha256`, "utf8")).trim() };
  };
  return {
    digest,
    kernel: await info("kernel"),
    outer: await info("outer"),
    squashfs: await info("squashfs"),
    kit: await info("kit"),
    busybox: await info("busybox"),
  };
}

function isReadable(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The tree alone: what building an image needs. */
export async function baseTree(options: Surroundings): Promise<BaseTree> {
  const { own } = await basePlaces(options.cache);
  const known = join(own, `known-${await definitionBytes()}`);
  const remembered = await readFile(known, "utf8").catch(() => "");
  const there = join(own, `tree-${remembered}`);
  if (/^[0-9a-f]{32}$/.test(remembered) && (await hold(there)))
    return { tree: join(there, "tree"), directory: there, digest: remembered };
  const { definition, digest } = await treeInputs();
  const directory = join(own, `tree-${digest}`);
  await inOnePiece(directory, (into) =>
    options.log.task("making the base", (log) => makeTree(definition, into, { ...options, log })),
  );
  await writeFile(known, digest);
  return { tree: join(directory, "tree"), directory, digest };
}

/** Digest of what the tree is made of, whether it is there or not. */
export async function baseTreeDigest(): Promise<string> {
  return (await treeInputs()).digest;
}

/** Digest of the base's definition as files, and of what evaluates it: evaluating it takes longer than most of a build. */
async function definitionBytes(): Promise<string> {
  const dir = baseDefinition();
  const { files } = readFiles(dir);
  const content = [...files].map(([path, { bytes, mode }]) => [path, sha256(bytes), mode]);
  return digestOf([await sourceDigest(), content]).slice(0, 32);
}

async function treeInputs(): Promise<{ definition: OpenDefinition; digest: string }> {
  const definition = await openDefinition(baseDefinition());
  const { spec, lock, files } = definition;
  const content = [...files].map(([path, { bytes, mode }]) => [path, sha256(bytes), mode]);
  const digest = digestOf([treeVersion, spec, lock.packages, content]).slice(0, 32);
  return { definition, digest };
}

async function makeTree(definition: OpenDefinition, into: string, options: Surroundings): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Fail("making the base needs root", { hint: "run the same command with sudo; it is made once" });
  await requireTools("build");
  const { lock, files } = definition;
  const { log, signal } = options;
  const root = join(into, "tree");
  const epoch = epochOf(lock);
  const context = nativeContext({
    root,
    work: into,
    cache: options.cache,
    mirrors: await mirrorsFor(definition.spec, options.env),
    keepers: keepersFor(definition, options.env),
    proxies: proxiesOf(options.env),
    files: definition.filesDir,
    secrets: new Map(),
    log,
    signal,
  });
  const steps: StepData[] = [
    stepData(bootstrapTree, "unpacking the essential packages", {
      packages: lock.packages.filter((locked) => locked.bootstrap),
    }),
    stepData(installPackages, `installing ${lock.packages.length} packages`, {
      packages: lock.packages,
    }),
    stepData(writeFiles, "writing configuration", {
      files: [
        { path: "/etc/hostname", content: `${definition.spec.hostname}\n` },
        { path: "/etc/hosts", content: "127.0.0.1 localhost\n::1 localhost\n" },
        { path: "/etc/fstab", content: "" },
        { path: "/mnt/target", directory: true },
      ],
    }),
    stepData(placeFiles, "placing files", {
      files: [...files].map(([path, { bytes, mode }]) => ({
        path,
        mode: `0${mode.toString(8)}`,
        sha256: sha256(bytes),
      })),
    }),
    stepData(finishTree, "clearing up", { definition: "", epoch }),
  ];
  await executeSteps(steps, allSteps, context);
  await log.task("packing the base", () => finishBase(root, into, definition, { epoch, signal }));
}

/** Kernel, modules and programs are taken out, the rest is pruned, checked and squashed. */
async function finishBase(
  root: string,
  into: string,
  definition: OpenDefinition,
  options: { epoch: number; signal: AbortSignal },
): Promise<void> {
  const [version] = kernelVersions(root).reverse();
  if (version === undefined) throw new Fail("the base has no kernel");
  const tree = new Tree(root);
  tree.copyOut(`/boot/vmlinuz-${version}`, join(into, "kernel"));
  pruneTree(root, definition.spec.packages.prune);
  const tool = (argv: readonly string[]) =>
    toolRun(root, argv, {
      binds: [{ from: into, to: into }],
      timeoutMs: squashMs,
      signal: options.signal,
      env: { ...plainEnv, SOURCE_DATE_EPOCH: String(options.epoch) },
    });
  const modules = `/usr/lib/modules/${version}`;
  const dependencies = parseModulesDep(tree.text(`${modules}/modules.dep`) ?? "");
  const present = new Set(
    [...dependencies.keys()].filter((path) => tree.find(`${modules}/${path}`) !== undefined),
  );
  refuse("modules", missingDependencies(dependencies, present));
  refuse("libraries", missingLibraries(root));
  await tool(["depmod", "--basedir", root, version]);
  await mkdir(join(into, "modules"));
  const outer = async (list: string, names: readonly string[]) => {
    const lines: string[] = [];
    for (const path of loadOrder(dependencies, names)) {
      const file = path.split("/").at(-1)!;
      tree.copyOut(`${modules}/${path}`, join(into, "modules", file));
      if (path.endsWith(".xz")) await tool(["xz", "--decompress", "--force", join(into, "modules", file)]);
      lines.push(`${file.replace(/\.ko\..*$/, ".ko")} ${watchdogs[moduleName(path)]?.options ?? ""}`.trim());
    }
    await writeFile(join(into, "modules", list), lines.map((line) => `${line}\n`).join(""));
  };
  await outer("order", outerModules);
  await outer("watchdogs", Object.keys(watchdogs));
  tree.copyOut("/usr/bin/busybox", join(into, "busybox"));
  await copyKit(tree, join(into, "kit"));
  const plain = ["--sort=name", "--mtime=@1", "--owner=0", "--group=0", "--numeric-owner", "--mode=755"];
  await tool([
    "tar",
    "--create",
    "--gzip",
    ...plain,
    "--file",
    join(into, "kit.tar.gz"),
    "-C",
    join(into, "kit"),
    ".",
  ]);
  await tool([
    ...["mksquashfs", root, join(into, "squashfs"), "-noappend", "-quiet", "-no-progress", "-no-xattrs"],
    ...["-comp", "zstd", "-Xcompression-level", "15", "-b", "256K"],
    ...["-wildcards", "-e", ...mediumOnly],
  ]);
}

/** kexec with its libraries and their linker: it runs on any distribution, from RAM. */
async function copyKit(tree: Tree, kit: string): Promise<void> {
  await mkdir(join(kit, "lib"), { recursive: true });
  const program = "usr/sbin/kexec";
  tree.copyOut(program, join(kit, "kexec"));
  const present = libraries.filter((path) => tree.find(path) !== undefined);
  const closure = libraryClosure(tree.root, program, present);
  for (const [name, path] of closure)
    tree.copyOut(path, join(kit, name.startsWith("ld-linux") ? "ld.so" : `lib/${name}`));
  if (![...closure.keys()].some((name) => name.startsWith("ld-linux")))
    tree.copyOut(onlyArchitecture.linker, join(kit, "ld.so"));
}

function refuse(what: string, missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw new Fail(`the base lacks ${what} that others need:\n${missing.slice(0, 40).join("\n")}`, {
    hint: "prune less in initramfs/IMGBUILD.ts",
  });
}
