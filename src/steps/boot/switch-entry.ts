import { z } from "zod";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { flushFilesystem, MountedOn } from "./flush.ts";

/**
 * From here on the machine starts the new system: everything of it is flushed, then the first line of the loader's configuration is
 * overwritten in its place, then what was of the deploy alone is removed.
 */
export const switchEntry = defineStep({
  kind: "switch-entry",
  summary: "flush everything, then have the machine start the new system instead of the base",
  schema: z.strictObject({
    /** Every filesystem of the new system that is mounted for writing. */
    flush: z.array(MountedOn),
    config: z.strictObject({
      path: z.string().startsWith("/"),
      on: MountedOn,
      from: z.string(),
      to: z.string(),
    }),
    /** What the base had of this deploy, its private host key among it; overwritten, as far as a filesystem lets that be. */
    wipe: z.string().startsWith("/"),
    /** Of no use any more: the entry, and the base where it is not kept. */
    remove: z.array(z.string().startsWith("/")),
    /** Where these are. */
    on: MountedOn,
  }),
  run: async ({ flush, config, wipe, remove, on }, context) => {
    const tree = new Tree(context.root);
    for (const one of flush) await flushFilesystem(one, context);
    refuseOther(tree, config);
    // Less than a sector, in one write.
    tree.overwrite(config.path, Buffer.from(config.to));
    await flushFilesystem(config.on, context);
    const { size } = tree.stat(wipe) ?? { size: 0 };
    if (size > 0) tree.overwrite(wipe, Buffer.alloc(size));
    for (const path of [wipe, ...remove]) tree.remove(path);
    await flushFilesystem(on, context);
  },
});

function refuseOther(
  tree: Tree,
  { path, from, to }: { readonly path: string; readonly from: string; readonly to: string },
): void {
  if (tree.text(path)?.startsWith(from) === true && from.length === to.length) return;
  throw new Fail(`${path} does not begin as it was written, so the new system would not be started`, {
    hint: "see which package or script of the definition writes it",
  });
}
