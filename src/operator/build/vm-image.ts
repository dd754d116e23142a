import { stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CpioEntry } from "../../archive/cpio.ts";
import type { Lock } from "../../schema/lock.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { packArgv } from "../../steps/tree/unpack-tree.ts";
import { plainEnv } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import type { Secret } from "../../util/secret.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
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
  made: {
    readonly plan: VmPlan;
    readonly lock: Lock;
    readonly secrets: ReadonlyMap<string, Secret>;
    /** Where it is to leave itself on the disks, it gets itself along. */
    readonly base?: BaseFiles | undefined;
  },
  context: StepContext,
  work: string,
  options: VmOptions,
): Promise<readonly MadeDisk[]> {
  const { plan, lock, secrets, base } = made;
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
      ...(base === undefined ? {} : { more: ownFiles(base) }),
      disks: [...disks, { identity: archive, file, readOnly: true }],
    },
    options,
  );
  return disks.map(({ identity, file: path }) => ({ name: identity.name, file: path }));
}

/** As the base has itself at hand on a host; its squashfs it reads from where it runs. */
function ownFiles(base: BaseFiles): CpioEntry[] {
  return (["kernel", "outer"] as const).map((name) => {
    const { path, size } = base[name];
    return { type: "file", name: `imgbuild/base/${name}`, mode: 0o600, path, size };
  });
}
