import { settleTree } from "../../disks/filesystem/tree-usage.ts";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import type { StepContext } from "../step/step.ts";
import { clearTraces, settlePasswordDates } from "../tree/finish-tree.ts";
import { placeHostKeys } from "../tree/place-host-keys.ts";

/** What the packages' tree becomes before anything is laid upon it: the same, whenever and wherever its packages were configured. */
export async function settlePackages(
  context: StepContext,
  { epoch, mountPoints }: { readonly epoch: number; readonly mountPoints: readonly string[] },
): Promise<void> {
  const { root, began } = context;
  const tree = new Tree(root);
  makeMountPoints(root, mountPoints);
  // A disk would keep what is only deleted later, and keys that openssh-server has made belong to no machine.
  clearTraces(tree);
  settlePasswordDates(tree, epoch, began);
  await placeHostKeys.run({ expected: false }, { ...context, secrets: new Map() });
  settleTree(root, epoch, [], began);
}

/** Directories that no package needs to have. */
export function makeMountPoints(root: string, paths: readonly string[]): void {
  const tree = new Tree(root);
  for (const path of paths) {
    tree.makeDirectories(path);
    if (tree.real(path) !== path) throw isLink(path);
  }
}
