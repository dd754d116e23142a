import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { settleTimes } from "../../disks/filesystem/tree-usage.ts";
import { packArgv } from "../../steps/tree/unpack-tree.ts";
import { plainEnv } from "../../system/run/run.ts";
import { type Build, finishSystem, layerOf, startSystem } from "../build/build.ts";
import { compressArgv } from "../build/finish-output.ts";

/** A few GiB on a slow machine. */
const packMs = 4 * 3_600_000;

/** Finishes a build's tree and packs it as a compressed archive at `to`, beside its work directory. Gives the bytes of its content. */
export async function packFinished(build: Build, to: string): Promise<number> {
  const { work, plan, options } = build;
  await layerOf(build);
  const copy = await startSystem(build);
  try {
    const context = build.contextFor(copy.tree, work);
    await finishSystem(build, copy, context);
    settleTimes(copy.tree, plan.epoch, context.began);
    const file = join(work, "tree.tar");
    const how = { timeoutMs: packMs, signal: options.signal, env: { ...plainEnv, TZ: "UTC" } };
    return await options.log.task("packing the tree", async () => {
      await context.tool(packArgv(copy.tree, file, plan.epoch), how);
      const { size } = await stat(file);
      await context.tool(compressArgv(file, "zstd"), how);
      await rename(`${file}.packed`, to);
      return size;
    });
  } finally {
    await copy.close();
  }
}
