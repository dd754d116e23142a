import { stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lock } from "../../schema/lock.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { packArgv } from "../../steps/tree/unpack-tree.ts";
import { plainEnv } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import type { Secret } from "../../util/secret.ts";
import { runInVm, type VmOptions } from "../vm-runner/vm-run.ts";
import type { VmPlan } from "./vm-plan.ts";

const packMs = 3_600_000;

const { qemu } = onlyArchitecture;
/** What the machine needs on this computer, beside what a build does. */
export const baseMachineTools = [qemu.program, qemu.bios, "flock"];

/** A raw disk, by the definition's name for it. */
export interface MadeDisk {
  readonly name: string;
  readonly file: string;
}

/** Lays the finished tree of `context` on the plan's disks, which the base makes in a virtual machine. */
export async function disksInVm(
  made: { readonly plan: VmPlan; readonly lock: Lock; readonly secrets: ReadonlyMap<string, Secret> },
  context: StepContext,
  work: string,
  options: VmOptions,
): Promise<readonly MadeDisk[]> {
  const { plan, lock, secrets } = made;
  const file = join(work, "tree.tar");
  await context.log.task("packing the tree", () =>
    context.tool(packArgv(context.root, file, plan.epoch), {
      timeoutMs: packMs,
      signal: context.signal,
      env: { ...plainEnv, TZ: "UTC" },
    }),
  );
  const archive = plan.archive((await stat(file)).size);
  const disks = plan.disks.map((identity) => ({ identity, file: join(work, `${identity.name}.raw`) }));
  for (const disk of disks) {
    await writeFile(disk.file, "");
    await truncate(disk.file, disk.identity.sizeBytes);
  }
  await runInVm(
    {
      plan: plan.plan(archive),
      ...{ lock, secrets, directory: work, clock: plan.epoch },
      disks: [...disks, { identity: archive, file, readOnly: true }],
    },
    options,
  );
  return disks.map(({ identity, file: path }) => ({ name: identity.name, file: path }));
}
