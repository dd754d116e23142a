import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CpioEntry } from "../../../src/archive/cpio.ts";
import { settleTimes } from "../../../src/disks/filesystem/tree-usage.ts";
import { buildBase } from "../../../src/operator/base/base.ts";
import {
  buildOf,
  finishSystem,
  type ImageInputs,
  layerOf,
  startSystem,
} from "../../../src/operator/build/build.ts";
import { asImage, imageSeed, treePlan } from "../../../src/operator/build/tree-plan.ts";
import { mirrorsFor } from "../../../src/operator/lock/lock.ts";
import { openDefinition } from "../../../src/operator/lock/open-definition.ts";
import { unpackingPlan } from "../../../src/operator/plan/plan.ts";
import { splitSecrets } from "../../../src/operator/plan/split-secrets.ts";
import type { BaseFiles } from "../../../src/operator/takeover/takeover.ts";
import { runInVm, type VmOptions } from "../../../src/operator/vm-runner/vm-run.ts";
import type { DiskFacts } from "../../../src/schema/facts.ts";
import type { Plan } from "../../../src/schema/plan.ts";
import { nameBootEntry } from "../../../src/steps/boot/name-boot-entry.ts";
import { packArgv, unpackTree } from "../../../src/steps/tree/unpack-tree.ts";
import { plainEnv, run } from "../../../src/system/run/run.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import type { Log } from "../../../src/util/log.ts";

const packMs = 1_800_000;
const copyMs = 600_000;
/** How exactly the moment of a write is known. */
const sampleMs = 10;

/** What a build did to a disk, write by write. */
export interface Recording {
  /** The disk as it was, and as it is now. */
  readonly before: string;
  readonly after: string;
  /** In the format of dm-log-writes. */
  readonly log: string;
  /** The length of the log over time. */
  readonly times: readonly { readonly ms: number; readonly bytes: number }[];
  /** When each step began. */
  readonly steps: readonly { readonly ms: number; readonly doing: string }[];
  readonly plan: Plan;
  /** SHA-256 of the base's kernel. */
  readonly baseKernel: string;
}

/**
 * Records what the base does to a machine's disk when it becomes `definition`: the steps of a deploy in their order, of a tree that is
 * made beforehand, as from an offline medium. The firmware's own list of boot entries is not touched: no disk holds it.
 */
export async function recordDeploy(
  wanted: { readonly definition: string; readonly hostname: string },
  host: { readonly image: string; readonly serial: string; readonly firmware: "bios" | "uefi" },
  directory: string,
  options: VmOptions,
): Promise<Recording> {
  await mkdir(directory, { recursive: true });
  const made = await packTree(wanted, directory, options);
  const [after, log] = [join(directory, "disk.raw"), join(directory, "writes.log")];
  await copySparse(host.image, after);
  await writeFile(log, "");
  const { size: sizeBytes } = await stat(host.image);
  const facts: DiskFacts = {
    ...{ name: "vda", serial: host.serial, sizeBytes, sectorSize: 512, removable: false, readOnly: false },
    ...{ holders: [], mountPoints: [], partitions: [] },
  };
  const archive = { name: "tree", serial: "imgbuild-tree", sizeBytes: made.sizeBytes };
  const base = await buildBase(options);
  const whole = unpackingPlan(
    { ...made.inputs, base },
    {
      ...{
        firmware: host.firmware,
        consoles: made.inputs.spec.boot?.consoles ?? [],
        disks: { system: facts },
      },
      ...{ archive: { file: "/tree", sizeBytes: archive.sizeBytes }, seed: made.seed, sealed: made.sealed },
    },
  );
  const plan: Plan = {
    ...whole,
    steps: whole.steps
      .filter(({ kind }) => kind !== nameBootEntry.kind)
      .map((step) => (step.kind === unpackTree.kind ? { ...step, archive } : step)),
  };
  const clock = watch(log);
  try {
    await runInVm(
      {
        ...{ plan, lock: made.inputs.lock, secrets: new Map(), directory, clock: made.epoch },
        more: await takeoverFiles(base),
        disks: [
          { identity: { name: "system", serial: host.serial, sizeBytes }, file: after, writeLog: log },
          { identity: archive, file: made.file, readOnly: true },
        ],
      },
      { ...options, log: noting(options.log, clock.step) },
    );
  } finally {
    clock.stop();
  }
  const { times, steps: done } = clock;
  return { before: host.image, after, log, plan, times, steps: done, baseKernel: base.kernel.sha256 };
}

/** What a deploy's own initramfs brings: the base's files, with which it writes itself, and the keys of its SSH server. */
async function takeoverFiles({ kernel, outer, kit }: BaseFiles): Promise<CpioEntry[]> {
  const key = generateSshKey("imgbuild-cut");
  const entry = (name: string, content: Uint8Array | string): CpioEntry => ({
    ...{ type: "file", name: `imgbuild/${name}`, mode: 0o600, content: Buffer.from(content) },
  });
  return [
    entry("base/kernel", await readFile(kernel.path)),
    entry("base/outer", await readFile(outer.path)),
    entry("base/kit", await readFile(kit.path)),
    entry("ssh/host_key", key.private),
    entry("ssh/host_key.pub", `${key.public}\n`),
    entry("ssh/authorized_keys", `${key.public}\n`),
    entry("ssh/port", "22\n"),
  ];
}

/** A copy that takes no room for zeros. */
export async function copySparse(from: string, to: string): Promise<void> {
  await run(["cp", "--sparse=always", "--", from, to], { timeoutMs: copyMs });
}

/** The tree of the definition, as an archive on a disk of its own; no secrets. */
async function packTree(
  wanted: { readonly definition: string; readonly hostname: string },
  directory: string,
  options: VmOptions,
) {
  const opened = await openDefinition(wanted.definition);
  const spec = {
    ...opened.spec,
    hostname: wanted.hostname,
    boot: { ...opened.spec.boot!, consoles: ["tty0", "ttyS0,115200"] },
  };
  const inputs: ImageInputs = asImage({
    ...{ spec, lock: opened.lock, definition: opened.digest, files: opened, filesDir: opened.filesDir },
    ...{ mirrors: await mirrorsFor(spec, options.env), secrets: undefined },
  });
  const whole = treePlan(inputs);
  const { open, sealed } = splitSecrets(whole.tree, { secrets: false, hostKeys: false });
  const work = join(directory, "tree");
  await mkdir(work);
  const build = await buildOf(inputs, { ...whole, tree: open }, work, options);
  await layerOf(build);
  const copy = await startSystem(build);
  try {
    const context = build.contextFor(copy.tree, work);
    await finishSystem(build, copy, context);
    settleTimes(copy.tree, whole.epoch, context.began);
    const file = join(work, "tree.tar");
    await context.tool(packArgv(copy.tree, file, whole.epoch), {
      ...{ timeoutMs: packMs, signal: options.signal, env: { ...plainEnv, TZ: "UTC" } },
    });
    const { size: sizeBytes } = await stat(file);
    const forPlan = { ...inputs, files: opened.files, links: opened.links };
    return { file, sizeBytes, sealed, seed: imageSeed(spec), epoch: whole.epoch, inputs: forPlan };
  } finally {
    await copy.close();
  }
}

/** QEMU writes no times into its log; its length is looked at instead. */
function watch(log: string) {
  const began = Date.now();
  const times: { ms: number; bytes: number }[] = [];
  const steps: { ms: number; doing: string }[] = [];
  let last = 0;
  const timer = setInterval(() => {
    void stat(log).then(({ size }) => {
      if (size === last) return;
      last = size;
      times.push({ ms: Date.now() - began, bytes: size });
    });
  }, sampleMs);
  return {
    ...{ times, steps },
    step: (doing: string) => void steps.push({ ms: Date.now() - began, doing }),
    stop: () => clearInterval(timer),
  };
}

function noting(log: Log, step: (doing: string) => void): Log {
  return {
    ...log,
    task: (doing, work) => {
      step(doing);
      return log.task(doing, (inner) => work(noting(inner, step)));
    },
  };
}
