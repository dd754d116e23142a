import { rm, stat } from "node:fs/promises";
import { type Order, shippedTree } from "../schema/base/deploy.ts";
import type { Plan } from "../schema/plan.ts";
import { unpackTree } from "../steps/tree/unpack-tree.ts";
import { fileDigest } from "../system/files/file-digest.ts";
import { run } from "../system/run/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";

const unmountMs = 30_000;

type TreeDigest = Promise<string | undefined> | undefined;

/** Begins to read the tree that came along, while the runner waits for GO. Gives its SHA-256; undefined where it cannot be read. */
export function beginTreeDigest(tree: Order["tree"], file: string = shippedTree): TreeDigest {
  return tree === undefined ? undefined : fileDigest(file).catch(() => undefined);
}

/**
 * Compares the tree that came along with the one that was signed for, before anything is written. One that no order names, as after
 * another definition was brought, gives its RAM back. `digest`: see `beginTreeDigest`.
 */
export async function checkShippedTree(
  tree: Order["tree"],
  log: Log,
  { file = shippedTree, digest }: { readonly file?: string; readonly digest?: TreeDigest } = {},
): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (tree === undefined) {
    if (found === undefined) return;
    // After a power cut it is a file; else the archive's own, under another name.
    await run(["umount", file], { timeoutMs: unmountMs, accept: [0, 1, 32] });
    await rm(file, { force: true });
    return;
  }
  await log.task("checking the tree that came along", async () => {
    const hint = "deploy again; no disk was written unless this is resumed";
    if (found === undefined) throw new Fail("the tree did not come along", { hint });
    if (found.size !== tree.size || ((await digest) ?? (await fileDigest(file))) !== tree.sha256)
      throw new Fail("the tree that came along is not the one that was signed for", { hint });
  });
}

/** The plan was made before the tree was: how much is unpacked is known only now. */
export function withTreeSize(plan: Plan, tree: Order["tree"]): Plan {
  if (tree === undefined) return plan;
  const steps = plan.steps.map((step) =>
    step.kind === unpackTree.kind
      ? { ...step, archive: { file: shippedTree, sizeBytes: tree.contentBytes } }
      : step,
  );
  return { ...plan, steps };
}
