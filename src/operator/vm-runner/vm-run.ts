import { randomBytes } from "node:crypto";
import { copyFile, mkdtemp } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { BaseReport } from "../../schema/base/journal.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { digestOf } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { takePlace, waitForMemory } from "../../vm/lab/room.ts";
import { type Accelerator, accelerator, usualCpus } from "../../vm/machine/accelerator.ts";
import { startQemu } from "../../vm/machine/qemu.ts";
import { makeConsole } from "../../vm/shell/console.ts";
import { buildBase } from "../base/base.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import { composeInitrd, runnerPort } from "./vm-initrd.ts";
import type { VmJob } from "./vm-job.ts";
import { type BaseMachine, workThroughPlan } from "./vm-talk.ts";

const memoryMib = 1_536;
const mostCpus = 4;

export interface VmOptions extends Surroundings {
  /** The caller's lab has one of the computer's places for machines already. */
  readonly hasPlace?: boolean;
}

/**
 * Has the base work through a plan in a virtual machine that has the job's disks and no network. It is the runner of a deploy
 * that does it, with the same checks; secrets are sealed for it alone. Nothing of the machine is left but what is on the disks.
 */
export async function runInVm(job: VmJob, options: VmOptions): Promise<BaseReport> {
  const { log, signal } = options;
  const base = await buildBase(options);
  const kind = await accelerator({
    cache: options.cache,
    override: options.env.IMGBUILD_ACCEL,
    log,
    signal,
  });
  const deploy = { nonce: randomBytes(32).toString("hex"), planDigest: digestOf(job.plan) };
  const initrd = await composeInitrd(job, deploy, base);
  const place = options.hasPlace ? undefined : await takePlace({ log, signal });
  try {
    await waitForMemory(memoryMib, { log, signal });
    return await withMachine(job, { base, initrd, kind }, options, (machine) =>
      workThroughPlan({ ...deploy, secrets: job.secrets }, machine, options),
    );
  } finally {
    await place?.leave();
  }
}

/** Starts the machine and ends it, whatever happens; of a failure the console is kept and told. */
async function withMachine<T>(
  job: VmJob,
  start: {
    readonly base: BaseFiles;
    readonly initrd: { readonly file: string; readonly word: string };
    readonly kind: Accelerator;
  },
  { signal }: VmOptions,
  work: (machine: BaseMachine) => Promise<T>,
): Promise<T> {
  const consoleFile = join(job.directory, "console.log");
  const most = Math.min(mostCpus, availableParallelism());
  const qemu = await startQemu(
    {
      ...{ name: "imgbuild-base", memoryMib, cpus: usualCpus(start.kind, most) },
      accelerator: start.kind.name,
      disks: job.disks.map(({ identity, file, readOnly = false, sectorSize = 512, writeLog }) => ({
        sectorSize,
        ...(writeLog === undefined ? {} : { writeLog }),
        ...{ file, format: "raw", serial: identity.serial ?? identity.name, cache: "unsafe" },
        ...(readOnly ? { readOnly } : { sparse: true }),
      })),
      nics: [],
      consoleFile,
      direct: {
        kernel: start.base.kernel.path,
        initrd: start.initrd.file,
        // Nobody but us is in there: what guards one program from another costs an emulated processor much.
        cmdline: ["console=ttyS0", "panic=-1", "loglevel=4", "mitigations=off", start.initrd.word],
      },
      ...{ once: true, clock: job.clock, port: runnerPort },
    },
    signal,
  );
  const { console, append } = makeConsole();
  qemu.serial.setEncoding("utf8").on("data", append);
  try {
    await qemu.qmp.execute("cont");
    return await work({ qemu, console, scale: start.kind.scale });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Fail)) throw error;
    const kept = join(await mkdtemp(join(tmpdir(), "imgbuild-in-vm-")), "console.log");
    await copyFile(consoleFile, kept).catch(() => {});
    throw new Fail(error.message, {
      cause: error,
      hint: `${error.hint === undefined ? "" : `${error.hint}; `}the base's console is in ${kept}`,
    });
  } finally {
    await qemu.stop();
  }
}
