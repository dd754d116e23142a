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
 * Mounts an overlay over trees, the topmost first, at `directory`/tree: it costs nothing, and shows what was changed. Where the
 * kernel does not allow it (an old one in a user namespace, a filesystem that takes no upper layer) the tree is copied.
 */
export async function treeCopy(
  lower: readonly string[],
  directory: string,
  options: {
    readonly signal?: AbortSignal;
    /** What an earlier copy of the same trees had in its `upper`: this copy begins with it, where there is an overlay. */
    readonly from?: string | undefined;
  } = {},
): Promise<TreeCopy> {
  const tree = join(directory, "tree");
  const upper = join(directory, "upper");
  const work = join(directory, "overlay-work");
  for (const path of [tree, upper, work]) await mkdir(path, { recursive: true });
  const { from, ...running } = options;
  if (from !== undefined) await copyUpper(from, upper, running);
  // By names beside each other: what a path may hold, mount(8) and the kernel read differently in options.
  for (const [index, path] of lower.entries()) {
    await rm(join(directory, lowerName(index)), { force: true });
    await symlink(resolve(path), join(directory, lowerName(index)));
  }
  const mount = ["mount", "-t", "overlay", "overlay", "-o", await overlayOptions(lower.length), "./tree"];
  const mounted = await run(mount, { accept: [0, 1, 32], cwd: directory, ...running });
  if (mounted.code === 0)
    return {
      tree,
      upper,
      close: async () => {
        await run(["umount", tree]);
      },
    };
  for (const path of [upper, work]) await rm(path, { recursive: true });
  if (lower.length > 1) throw new Error(`several layers cannot be copied: ${mounted.stderr}`);
  const cp = ["cp", "--archive", "--reflink=auto", "--", `${lower[0]}/.`, tree];
  await run(cp, { timeoutMs: copyMs, ...running });
  return { tree, upper: undefined, close: async () => {} };
}

function lowerName(index: number): string {
  return `lower-${index}`;
}

/** An overlay's upper layer with its marks of what is deleted or replaced. */
export async function copyUpper(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const cp = ["cp", "--archive", "--reflink=auto", "--", `${from}/.`, to];
  await run(cp, { timeoutMs: copyMs, ...options });
}

/** Plain copies of what is changed, and nothing that needs the other layers to be understood (fs/overlayfs in the kernel's docs). */
async function overlayOptions(lowers: number): Promise<string> {
  const maps = await readFile("/proc/self/uid_map", "utf8");
  return [
    `lowerdir=${Array.from({ length: lowers }, (_, index) => lowerName(index)).join(":")}`,
    "upperdir=upper,workdir=overlay-work",
    "redirect_dir=nofollow,metacopy=off,index=off,xino=off",
    // In a user namespace there are no trusted attributes to mark with.
    ...(/^\s*0\s+0\s+4294967295$/m.test(maps) ? [] : ["userxattr"]),
  ].join(",");
}
