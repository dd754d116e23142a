import { z } from "zod";
import { conffilePaths, ownersIn } from "../../debian/unpack/dpkg-db.ts";
import { Patch } from "../../schema/tree-edits.ts";
import { Fail } from "../../util/fail.ts";
import { applyDiff, DiffProblem, type FileDiff, parseDiff } from "../../util/unified-diff.ts";
import { defineStep } from "../step/step.ts";
import { placeFor } from "./owner.ts";

const hint =
  "a new version may have changed the file: look at it with `imgbuild build DEF --format dir -o DIR` without the patch, and make the patch anew";

/**
 * Changes files that are there, line by line as the diffs say, or not at all. What dpkg knows of them stays: it sees a conffile
 * that was changed, and asks at the next change of the package, as if an administrator had edited it.
 */
export const patchFiles = defineStep({
  kind: "patch-files",
  summary: "patch packaged files",
  schema: z.strictObject({ patches: z.array(Patch).min(1) }),
  run: async ({ patches }, { root, log }) => {
    const owners = ownersIn(root);
    for (const { name, diff } of patches)
      for (const file of diffsOf(name, diff)) {
        patchFile(root, name, file);
        const owner = owners.get(file.path) ?? owners.get(file.path.replace(/^\/usr\//, "/"));
        if (owner !== undefined && !conffilePaths(root, owner).includes(file.path))
          log.warn(
            `${file.path} is no conffile: an upgrade of ${owner} puts its own in the place of the patched one`,
          );
      }
  },
});

function patchFile(root: string, name: string, file: FileDiff): void {
  const tree = placeFor(root, file.path);
  const found = tree.stat(file.path);
  if (found === undefined) throw new Fail(`${name} does not apply: the tree has no ${file.path}`, { hint });
  if (!found.isFile())
    throw new Fail(`${name} does not apply: ${file.path} is no regular file in the tree`, {
      hint: "patch the file where it really is",
    });
  try {
    // Written over, so that mode and owner stay.
    tree.rewrite(file.path, applyDiff(tree.read(file.path)!, file));
  } catch (error) {
    if (!(error instanceof DiffProblem)) throw error;
    throw new Fail(`${name} does not apply: ${error.message}`, { hint });
  }
}

function diffsOf(name: string, diff: string): FileDiff[] {
  try {
    return parseDiff(diff);
  } catch (error) {
    if (!(error instanceof DiffProblem)) throw error;
    throw new Fail(`${name}: ${error.message}`);
  }
}
