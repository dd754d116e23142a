import { Tree } from "../../tree/tree.ts";
import { isMissing } from "../../tree/walk.ts";
import { Fail } from "../../util/fail.ts";

/** A path of a package that is not as it should be in the tree; a reason to leave the package to dpkg. */
export class OutOfPlace extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OutOfPlace";
  }
}

/**
 * The real directory outside to which a path of the tree leads. Links are followed as the system in the tree would follow them: an
 * absolute one begins at the tree's root, and none leads out of it. What is found is kept in `directories`.
 */
export function directoryIn(
  tree: { readonly root: string; readonly directories: Map<string, string> },
  path: string,
): string {
  const known = tree.directories.get(path);
  if (known !== undefined) return known;
  try {
    const found = new Tree(tree.root).directory(path);
    tree.directories.set(path, found);
    return found;
  } catch (error) {
    const isNothing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isMissing(error))
      throw new OutOfPlace(`${path} is ${isNothing ? "not" : "no directory"} in the tree`);
    if (error instanceof Fail) throw new OutOfPlace(error.message);
    throw error;
  }
}
