import { z } from "zod";
import { filesystems, filesystemTypes } from "../../tables/filesystem/filesystems.ts";
import { Tree } from "../../tree/tree.ts";
import type { StepContext } from "../step/step.ts";

/** Flushing what a build has written to a slow disk. */
const flushMs = 1_800_000;

/** A filesystem of the new system, mounted there inside of the tree. */
export const MountedOn = z.strictObject({
  type: z.enum(filesystemTypes),
  path: z.string().startsWith("/"),
});
type MountedOn = z.output<typeof MountedOn>;

/**
 * Writes out all that a filesystem has in memory. A bootloader reads no journal: for it, what is in the journal alone is not there. A
 * filesystem that is frozen has everything at its place; it is thawed at once.
 */
export async function flushFilesystem(on: MountedOn, { root, tool }: StepContext): Promise<void> {
  const path = new Tree(root).directory(on.path);
  await tool(["sync", "--file-system", path], { timeoutMs: flushMs });
  if (filesystems[on.type].firmware) return;
  try {
    await tool(["fsfreeze", "--freeze", path], { timeoutMs: flushMs });
  } finally {
    // Of one that could not be frozen: the failure above says why.
    await tool(["fsfreeze", "--unfreeze", path], { timeoutMs: flushMs, accept: [0, 1] });
  }
}
