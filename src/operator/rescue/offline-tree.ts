import { keepersFor } from "../../debian/archive/keepers.ts";
import { type BuildOptions, buildOf } from "../build/build.ts";
import { declaredTree, imageSeed } from "../build/tree-plan.ts";
import { mirrorsFor } from "../lock/lock.ts";
import type { OpenDefinition } from "../lock/open-definition.ts";
import { splitSecrets } from "../plan/split-secrets.ts";
import { packFinished } from "../tree/pack-finished.ts";

/**
 * The finished tree of a definition without its secrets, as a compressed archive at `to`; `work` is an empty directory beside it. Its
 * fstab is that of the disks as declared: what is kept is there. Gives the seed of its UUIDs, and the archive's size before it was
 * compressed.
 */
export async function packOfflineTree(
  definition: OpenDefinition,
  to: string,
  work: string,
  options: BuildOptions,
): Promise<{ readonly seed: string; readonly sizeBytes: number }> {
  const { spec, lock, filesDir, digest } = definition;
  const mirrors = await mirrorsFor(spec, options.env, definition.dir);
  const files = { files: definition, filesDir };
  const keepers = keepersFor(definition, options.env);
  const inputs = { ...{ spec, lock, definition: digest, mirrors, keepers, secrets: undefined }, ...files };
  const whole = declaredTree(inputs);
  // The base lays the other half of them onto the new disks.
  const { open } = splitSecrets(whole.tree, { secrets: true, hostKeys: true });
  const build = await buildOf(inputs, { ...whole, tree: open }, work, options);
  return { seed: imageSeed(spec), sizeBytes: await packFinished(build, to) };
}
