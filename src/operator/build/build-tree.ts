import { join } from "node:path";
import { settleTimes } from "../../disks/filesystem/tree-usage.ts";
import type { Spec } from "../../schema/spec.ts";
import { makeMountPoints } from "../../steps/packages/settle-packages.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { Compression, ImageFormat } from "../output/output.ts";
import { packTree } from "../output/tree-output.ts";
import { type Build, finishSystem, startSystem } from "./build.ts";
import { isMade, mountPointsOf } from "./layers.ts";
import type { StartedTree } from "./script-cache.ts";

/** The tree alone, which keeps no layer: it would have to be copied. One that is there is used. */
export async function buildTree(
  build: Build,
  format: ImageFormat,
  about: {
    readonly spec: Spec;
    readonly definition: string;
    /** Of an OCI image's layer. */
    readonly compress: Compression | undefined;
  },
): Promise<string> {
  const { work, plan, layer, options } = build;
  const layered = await isMade(layer);
  const copy: StartedTree = layered
    ? await startSystem(build)
    : { tree: join(work, "tree"), upper: undefined, rest: [], close: async () => {} };
  try {
    const context = build.contextFor(copy.tree, work);
    if (layered) await finishSystem(build, copy, context);
    else {
      const { packages, system, initramfs, finish } = plan.tree;
      await executeSteps(packages, allSteps, context);
      makeMountPoints(copy.tree, mountPointsOf(plan));
      await executeSteps([...system, ...initramfs, ...finish], allSteps, context);
    }
    settleTimes(copy.tree, plan.epoch, context.began);
    return await options.log.task(`packing the tree as ${format}`, () =>
      packTree(format, {
        ...{ context, work, epoch: plan.epoch, compress: about.compress, definition: about.definition },
        hostname: about.spec.hostname,
        moveable: !layered,
      }),
    );
  } finally {
    await copy.close();
  }
}
