import { constants } from "node:fs";
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { run } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { installHint } from "../../tables/distribution.ts";
import { digestOf, parsedJson } from "../../util/digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { type AcceleratorName, acceleratorArgs } from "./command.ts";
import { proofDisk, proofExitCode } from "./proof-sector.ts";

/** A sound KVM needs a tenth of it. */
const proofTimeoutMs = 10_000;

export interface Accelerator {
  readonly name: AcceleratorName;
  /** Multiply the time bounds of real hardware by this. */
  readonly scale: number;
  /** Why this one, for a person. */
  readonly reason: string;
}

const scales = { kvm: 1, hvf: 1, tcg: 10 } as const;
/** What this kind of computer may have in hardware: Linux KVM, macOS its hypervisor framework. */
const native = process.platform === "darwin" ? "hvf" : "kvm";

/**
 * Processors of a machine for which no number is given. QEMU's emulation may let one processor run an instruction that another has
 * replaced since; a kernel that changes its own code while it starts then panics, about one start in hundreds. One alone cannot.
 */
export function usualCpus({ name }: Pick<Accelerator, "name">, most: number): number {
  return name === "tcg" ? 1 : most;
}

/**
 * The computer's own virtualization where it has proved itself, else QEMU's emulation. That /dev/kvm exists proves nothing: under some hypervisors
 * no stock kernel comes up on it. The verdict is kept in `cache` for this boot and this QEMU.
 */
export async function accelerator(options: {
  readonly cache: string;
  /** IMGBUILD_ACCEL of the environment. */
  readonly override?: string | undefined;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly prove?: typeof proveAccelerator;
}): Promise<Accelerator> {
  const { override } = options;
  if (override !== undefined && override !== "") {
    if (override !== "kvm" && override !== "hvf" && override !== "tcg")
      throw new Fail(`IMGBUILD_ACCEL is "${override}"; it can be kvm, hvf or tcg`);
    return { name: override, scale: scales[override], reason: "IMGBUILD_ACCEL says so" };
  }
  const version = (await run([qemu.program, "--version"], { hint: qemuHint, timeoutMs: 30_000 })).stdout;
  const bootId = readIfThere("/proc/sys/kernel/random/boot_id") ?? "";
  const file = join(options.cache, `accelerator-${digestOf([bootId, version]).slice(0, 16)}.json`);
  // Anything unreadable is as good as nothing: the proof is made again.
  let verdict = Verdict.safeParse(parsedJson(readIfThere(file) ?? "")).data;
  if (verdict === undefined) {
    const prove = options.prove ?? proveAccelerator;
    verdict = await options.log.task(`proving ${native.toUpperCase()}`, () => prove(native, options.signal));
    await mkdir(options.cache, { recursive: true });
    await writeWhole(file, JSON.stringify(verdict));
  }
  const name = verdict.works ? native : "tcg";
  return { name, scale: scales[name], reason: verdict.reason };
}

const Verdict = z.strictObject({ works: z.boolean(), reason: z.string() });
type Verdict = z.output<typeof Verdict>;

const { packages, qemu } = onlyArchitecture;
export const qemuHint = installHint(packages.qemu, "qemu-utils", packages.firmware);

/** Boots the proof's disk, with the CPU that machines get, and says whether it came through within the bound. */
async function proveAccelerator(
  name: AcceleratorName,
  signal?: AbortSignal,
  disk: Uint8Array = proofDisk(),
): Promise<Verdict> {
  if (name === "kvm") {
    const problem = await access("/dev/kvm", constants.R_OK | constants.W_OK).catch(messageOf);
    if (problem !== undefined) return { works: false, reason: `no KVM: ${problem}` };
  }
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-proof-"));
  try {
    const file = join(directory, "disk");
    await writeFile(file, disk);
    await run(
      [
        ...[qemu.program, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"],
        ...["-machine", qemu.machine, ...acceleratorArgs(name), "-m", "64M"],
        ...["-drive", `if=none,id=disk,format=raw,read-only=on,file=${file}`, "-device"],
        ...["virtio-blk-pci,drive=disk", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
      ],
      { accept: [proofExitCode], timeoutMs: proofTimeoutMs, hint: qemuHint, ...(signal && { signal }) },
    );
    return { works: true, reason: `${name} boots` };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof Fail)) throw error;
    // The argv says nothing to a person; what QEMU printed, or that it hung, does.
    const why = error.message.replace(new RegExp(`^${qemu.program} .*iosize=4`), "a boot sector").split("\n");
    return { works: false, reason: `${name} fails its proof: ${why.slice(0, 2).join(": ")}` };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
