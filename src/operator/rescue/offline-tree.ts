import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { keepersFor } from "../../debian/archive/keepers.ts";
import { settleTimes } from "../../disks/filesystem/tree-usage.ts";
import { packArgv } from "../../steps/tree/unpack-tree.ts";
import { plainEnv } from "../../system/run/run.ts";
import { type BuildOptions, buildOf, finishSystem, layerOf, startSystem } from "../build/build.ts";
import { compressArgv } from "../build/finish-output.ts";
import { declaredTree, imageSeed } from "../build/tree-plan.ts";
import { mirrorsFor } from "../lock/lock.ts";
import type { OpenDefinition } from "../lock/open-definition.ts";
import { splitSecrets } from "../plan/split-secrets.ts";

/** A few GiB on a slow machine. */
const packMs = 4 * 3_600_000;

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
  await layerOf(build);
  const copy = await startSystem(build);
  try {
    const context = build.contextFor(copy.tree, work);
    await finishSystem(build, copy, context);
    settleTimes(copy.tree, whole.epoch, context.began);
    const file = join(work, "tree.tar");
    const how = { timeoutMs: packMs, signal: options.signal, env: { ...plainEnv, TZ: "UTC" } };
    await context.tool(packArgv(copy.tree, file, whole.epoch), how);
    const { size } = await stat(file);
    await context.tool(compressArgv(file, "zstd"), how);
    await rename(`${file}.packed`, to);
    return { seed: imageSeed(spec), sizeBytes: size };
  } finally {
    await copy.close();
  }
}
