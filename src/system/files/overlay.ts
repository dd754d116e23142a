import { mkdir, readFile, rm, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "../run/run.ts";

/** Copying a tree where no overlay can be mounted. */
const copyMs = 1_800_000;

/** A tree to write to, over a tree that stays as it is. */
export interface TreeCopy {
  readonly tree: string;
  /** Everything that differs from the original; undefined where `tree` is a whole copy. */
  readonly upper: string | undefined;
  close(): Promise<void>;
}

/**
 * Mounts an overlay over a tree, at `directory`/tree: it costs nothing, and shows what was changed. Where the kernel does not allow
 * it (an old one in a user namespace, a filesystem that takes no upper layer) the tree is copied.
 */
export async function treeCopy(
  lower: string,
  directory: string,
  options: {
    readonly signal?: AbortSignal;
    /** What an earlier copy of the same tree had in its `upper`: this copy begins with it, where there is an overlay. */
    readonly from?: string | undefined;
  } = {},
): Promise<TreeCopy> {
  const [tree, upper, work, link] = ["tree", "upper", "overlay-work", "lower"].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  for (const path of [tree, upper, work]) await mkdir(path, { recursive: true });
  const { from, ...running } = options;
  if (from !== undefined) await copyFiles(from, upper, running);
  // By names beside each other: what a path may hold, mount(8) and the kernel read differently in options.
  await rm(link, { force: true });
  await symlink(resolve(lower), link);
  const mount = ["mount", "-t", "overlay", "overlay", "-o", await overlayOptions(), "./tree"];
  const mounted = await run(mount, { accept: [0, 1, 32], cwd: directory, ...running });
  if (mounted.code === 0) return { tree, upper, close: async () => void (await run(["umount", tree])) };
  for (const path of [upper, work]) await rm(path, { recursive: true });
  await copyFiles(lower, tree, running);
  return { tree, upper: undefined, close: async () => {} };
}

/** All of a directory, as it is: of an overlay's upper layer its marks of what is deleted or replaced as well. */
export async function copyFiles(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const cp = ["cp", "--archive", "--reflink=auto", "--", `${from}/.`, to];
  await run(cp, { timeoutMs: copyMs, ...options });
}

/** Plain copies of what is changed, and nothing that needs the other layers to be understood (fs/overlayfs in the kernel's docs). */
async function overlayOptions(): Promise<string> {
  const maps = await readFile("/proc/self/uid_map", "utf8");
  return [
    "lowerdir=lower,upperdir=upper,workdir=overlay-work",
    "redirect_dir=nofollow,metacopy=off,index=off,xino=off",
    // In a user namespace there are no trusted attributes to mark with.
    ...(/^\s*0\s+0\s+4294967295$/m.test(maps) ? [] : ["userxattr"]),
  ].join(",");
}
