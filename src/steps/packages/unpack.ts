import { availableParallelism } from "node:os";
import { registerUnpacked, statusStanzas } from "../../debian/unpack/dpkg-db.ts";
import { readRules } from "../../debian/unpack/dpkg-rules.ts";
import { type PlacingTree, placePackage } from "../../debian/unpack/place.ts";
import { type StagedPackage, stagePackages } from "../../debian/unpack/stage.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import { plainEnv } from "../../system/run/run.ts";
import { type Held, Tree } from "../../tree/tree.ts";
import { during } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { StepContext } from "../step/step.ts";

/** Unpacking all packages, on a slow disk or where the processor is emulated. */
const unpackMs = 2 * 3_600_000;
/** The preinst scripts of all packages. */
const scriptMs = 3_600_000;
/** More unpacking programs than that would wait for the placing of files. */
const maxLanes = 4;
/** Where files wait beside the tree: on the filesystem that takes most of them. */
export const stagingPath = "/usr/.imgbuild-staging";
/** Scripts of packages run while others wait there, so it is the directories that are held to, and not their names. */
const heldOpen = new Map<string, Held[]>();

/**
 * What maintainer scripts see. INITRD=No keeps the kernel's from making an initramfs that is made once, at the end. They do not
 * get SOURCE_DATE_EPOCH, which would change what they make: Python's bytecode would be checked at every start.
 */
export const scriptEnv: Readonly<Record<string, string>> = {
  ...plainEnv,
  HOME: "/root",
  DEBIAN_FRONTEND: "noninteractive",
  DEBCONF_NONINTERACTIVE_SEEN: "true",
  INITRD: "No",
};

/** Fetches packages and unpacks them beside the tree; their .debs are released. */
export async function fetchAndStage(
  packages: readonly LockedPackage[],
  context: StepContext,
  log: Log,
  options: { readonly signal?: AbortSignal; readonly lanes?: number } = {},
): Promise<StagedPackage[]> {
  const { signal = context.signal, lanes = Math.min(maxLanes, availableParallelism()) } = options;
  if (packages.length === 0) return [];
  await context.fetch(packages, log);
  const directory = holdStaging(context.root, packages[0]!.name);
  let done = 0;
  const staged = await stagePackages(packages, {
    directory,
    lanes,
    filter: (argv, io) => context.filter(argv, { ...io, timeoutMs: unpackMs, signal }),
    pathOf: (locked) => context.packagePath(locked).outside,
    onStaged: () => {
      done += 1;
      log.progress(done, packages.length, "packages");
    },
  });
  await context.release(packages);
  return staged;
}

/** A directory of the place where files wait, made where it is missing; the path leads to it until that place is cleared. */
export function holdStaging(root: string, name: string): string {
  const tree = new Tree(root);
  tree.makeDirectories(`${stagingPath}/${name}`, 0o700);
  const held = tree.hold(`${stagingPath}/${name}`);
  heldOpen.set(root, [...(heldOpen.get(root) ?? []), held]);
  return held.path;
}

/** Nothing is left of the place where files waited. */
export function clearStaging(root: string): void {
  for (const held of heldOpen.get(root) ?? []) held.close();
  heldOpen.delete(root);
  new Tree(root).remove(stagingPath);
}

/**
 * Puts staged packages into the tree, in order, and enters them for dpkg. Each one's preinst script has run before; scripts may need what
 * the packages they pre-depend on hold, so those must be configured by now. Gives back what is left to dpkg itself.
 */
export function placeAll(
  packages: readonly StagedPackage[],
  tree: { readonly root: string; readonly owners: Map<string, string> },
  options: { readonly bootstrap: boolean; readonly log: Log },
): LockedPackage[] {
  // A fresh look at the tree: scripts have run since the last one.
  const placing: PlacingTree = { ...tree, rules: readRules(tree.root), directories: new Map() };
  const left: LockedPackage[] = [];
  for (const staged of packages) {
    const reason = placePackage(staged, placing, options);
    if (reason === undefined) registerUnpacked(tree.root, staged, placing.rules, options);
    else {
      options.log.info(`${staged.locked.name} is left to dpkg: ${reason}`);
      left.push(staged.locked);
    }
  }
  return left;
}

/** Packages of the lock that dpkg does not know yet. */
export function unregistered(root: string, packages: readonly LockedPackage[]): LockedPackage[] {
  const known = new Set(statusStanzas(root).map(({ name }) => name));
  return packages.filter(({ name }) => !known.has(name));
}

/** As dpkg runs it: from a directory with all control files, whose name debconf knows too. */
const preinstLoop = `set -e
cd /var/lib/dpkg
while [ $# -gt 0 ]; do
  mv "$1" tmp.ci
  export DPKG_MAINTSCRIPT_PACKAGE="$2" DPKG_MAINTSCRIPT_ARCH="$3"
  (cd / && exec /var/lib/dpkg/tmp.ci/preinst install) || { code=$?; echo "$2: preinst exited $code" >&2; exit 1; }
  rm -r tmp.ci
  shift 3
done
`;

/** Runs the preinst scripts of those packages that have one, in order. */
export async function runPreinsts(
  packages: readonly StagedPackage[],
  context: StepContext,
  env: Readonly<Record<string, string>>,
  dpkgVersion: string,
): Promise<void> {
  const words: string[] = [];
  const tree = new Tree(context.root);
  for (const { locked, control } of packages) {
    if (!control.has("preinst")) continue;
    const directory = `/var/lib/dpkg/tmp.ci.${locked.name}`;
    tree.makeDirectories(directory);
    for (const [file, { bytes, mode }] of control)
      if (!file.includes("/")) tree.write(`${directory}/${file}`, bytes, { mode });
    words.push(directory, locked.name, locked.architecture);
  }
  if (words.length === 0) return;
  await during("running preinst scripts", () =>
    context.chroot(["/bin/sh", "-c", preinstLoop, "preinst", ...words], {
      env: {
        ...env,
        DPKG_ADMINDIR: "/var/lib/dpkg",
        DPKG_ROOT: "",
        DPKG_MAINTSCRIPT_NAME: "preinst",
        DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT: "1",
        DPKG_MAINTSCRIPT_DEBUG: "0",
        DPKG_RUNNING_VERSION: dpkgVersion,
      },
      timeoutMs: scriptMs,
      signal: context.signal,
      hint: "a maintainer script failed; its words are above",
    }),
  );
}
