import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdtemp } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { cpioBytes } from "../archive/cpio.ts";
import type { DeployData, Order } from "../schema/deploy.ts";
import type { BaseReport } from "../schema/journal.ts";
import type { Lock } from "../schema/lock.ts";
import type { Plan } from "../schema/plan.ts";
import type { DiskIdentity } from "../storage/find-disk.ts";
import { canonicalJson, digestOf } from "../util/digest.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { within } from "../util/within.ts";
import { type Accelerator, accelerator } from "../vm/accelerator.ts";
import { type Console, makeConsole } from "../vm/console.ts";
import { type Qemu, startQemu } from "../vm/qemu.ts";
import { takePlace, waitForMemory } from "../vm/room.ts";
import { type BaseOptions, buildBase } from "./base.ts";
import { replayJournal } from "./journal-log.ts";
import { sealSecrets, signedPayload } from "./payload.ts";
import { greet, type RunnerLink } from "./runner-link.ts";
import type { BaseFiles } from "./takeover.ts";

/** On ordinary hardware; an emulated machine gets its scale of it. */
const bootMs = 60_000;
const workMs = 15 * 60_000;
const endMs = 15_000;
const memoryMib = 1_536;
const mostCpus = 4;

/** Where the runner listens, beside its socket. */
const port = "org.imgbuild.runner";
const machineId = "vm";

/** A disk of the machine: a raw file that is written as it is. */
export interface VmDisk {
  readonly identity: DiskIdentity;
  readonly file: string;
  readonly readOnly?: boolean;
}

export interface VmJob {
  readonly plan: Plan;
  readonly lock: Lock;
  readonly disks: readonly VmDisk[];
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Seconds since the epoch that the machine's clock begins with: what is made does not tell when. */
  readonly clock: number;
  /** For files on their way; the caller's to remove. */
  readonly directory: string;
}

export interface VmOptions extends BaseOptions {
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
      converse(job, deploy, machine, options),
    );
  } finally {
    await place?.leave();
  }
}

interface Machine {
  readonly qemu: Qemu;
  readonly console: Console;
  readonly scale: number;
}

/** Base and payload as one initramfs. The payload holds no secret; where the machine reads it is a file of this computer. */
async function composeInitrd(
  job: VmJob,
  { nonce, planDigest }: { readonly nonce: string; readonly planDigest: string },
  base: BaseFiles,
): Promise<string> {
  const order: Order = {
    version: 1,
    definition: job.plan.definition,
    planDigest,
    disks: job.disks.map(({ identity }) => identity),
    mirrors: {},
    secrets: [...job.secrets.keys()],
  };
  const { payload, publicKey } = await signedPayload(
    { plan: job.plan, order, lock: job.lock, files: new Map() },
    { nonce, machineId, now: Date.now() },
  );
  const data: DeployData = {
    ...{ version: 1, nonce, publicKey, machineId, oldBootId: "", hostname: job.plan.hostname, port },
    network: { links: [], dns: [] },
    deadManSeconds: 7200,
  };
  const own = await cpioBytes([
    {
      ...{ type: "file", name: "imgbuild/deploy.json", mode: 0o600 },
      content: Buffer.from(canonicalJson(data)),
    },
    { type: "file", name: "imgbuild/payload.tar.gz", mode: 0o600, content: payload },
  ]);
  const to = join(job.directory, "initrd");
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const { path } of [base.outer, base.squashfs]) yield* createReadStream(path);
    yield own;
  }
  await pipeline(Readable.from(parts()), createWriteStream(to, { mode: 0o600 }));
  return to;
}

/** Starts the machine and ends it, whatever happens; of a failure the console is kept and told. */
async function withMachine<T>(
  job: VmJob,
  start: { readonly base: BaseFiles; readonly initrd: string; readonly kind: Accelerator },
  { signal }: VmOptions,
  work: (machine: Machine) => Promise<T>,
): Promise<T> {
  const consoleFile = join(job.directory, "console.log");
  const qemu = await startQemu(
    {
      ...{ name: "imgbuild-base", memoryMib, cpus: Math.min(mostCpus, availableParallelism()) },
      accelerator: start.kind.name,
      disks: job.disks.map(({ identity, file, readOnly = false }) => ({
        ...{ file, format: "raw", serial: identity.serial ?? identity.name, cache: "unsafe" },
        ...(readOnly ? { readOnly } : { sparse: true }),
      })),
      nics: [],
      consoleFile,
      direct: {
        kernel: start.base.kernel.path,
        initrd: start.initrd,
        // Nobody but us is in there: what guards one program from another costs an emulated processor much.
        cmdline: ["console=ttyS0", "panic=-1", "loglevel=4", "mitigations=off"],
      },
      ...{ once: true, clock: job.clock, port },
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

/** As with the base of a deploy: it proves itself, gets secrets and GO, and is followed to its report. */
async function converse(
  job: VmJob,
  { nonce, planDigest }: { readonly nonce: string; readonly planDigest: string },
  machine: Machine,
  { log, signal }: VmOptions,
): Promise<BaseReport> {
  const { qemu, scale } = machine;
  const link = await log.task("starting the base in a virtual machine", () => greeted(machine, signal));
  const { hello } = link;
  if (hello.state !== "waiting") throw new Fail(`the base refuses: ${hello.message ?? "no reason given"}`);
  if (hello.nonce !== nonce || hello.planDigest !== planDigest)
    throw new Fail("the base does not hold the plan that it was started with");
  link.send({ type: "go", planDigest, sealed: await sealSecrets(hello.recipient, job.secrets) });
  const show = replayJournal(log);
  try {
    const following = link.follow(0, (entry) => show.entry(entry));
    const report = await endsWithin(following, workMs * scale, machine, signal);
    if (report.outcome === "failed")
      throw new Fail(`the base failed: ${report.message ?? "no reason given"}`, {
        ...(report.hint === undefined ? {} : { hint: report.hint }),
      });
    link.send({ type: "restart" });
    await within(qemu.ended, endMs * scale);
    return report;
  } finally {
    show.end();
    link.close();
  }
}

async function greeted(machine: Machine, signal: AbortSignal): Promise<RunnerLink> {
  const boundMs = bootMs * machine.scale;
  try {
    return await greet(machine.qemu.shell, boundMs);
  } catch (error) {
    signal.throwIfAborted();
    throw await ending(machine, `the base did not come up within ${boundMs / 1000} s`, error);
  }
}

async function endsWithin<T>(
  work: Promise<T>,
  boundMs: number,
  machine: Machine,
  signal: AbortSignal,
): Promise<T> {
  work.catch(() => {});
  try {
    if (await within(work, boundMs)) return await work;
  } catch (error) {
    signal.throwIfAborted();
    throw await ending(machine, messageOf(error), error);
  }
  throw new Fail(`the base was not done within ${Math.round(boundMs / 1000)} s`);
}

/** Where the machine has ended, that is the reason, whatever was noticed first. */
async function ending({ qemu, console }: Machine, otherwise: string, cause: unknown): Promise<Fail> {
  const ended = await within(qemu.ended, 1_000);
  const why = ended ? `the virtual machine ended: ${await qemu.ended}` : otherwise;
  return new Fail(`${why}; its console's end:\n${console.tail()}`, { cause });
}
