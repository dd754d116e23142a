import { describe, expect, it } from "vitest";
import type { MachinePaths } from "../../../../src/disks/find-disk.ts";
import { askMachine, flagsProblem, readTpm } from "../../../../src/steps/boot/ask-machine.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

/** A machine whose kernel shows a TPM. */
function machineWith(version: string, banks: readonly string[], device = true): MachinePaths {
  const { machine, put } = fakeMachine();
  for (const bank of banks) put(`sys/class/tpm/tpm0/pcr-${bank}/0`, "");
  put("sys/class/tpm/tpm0/tpm_version_major", `${version}\n`);
  if (device) put("dev/tpmrm0", "");
  return machine;
}

describe("readTpm", () => {
  it("tells version and banks, and takes one without the kernel's resource manager for none", () => {
    expect(readTpm(machineWith("2", ["sha256", "sha1"]))).toEqual({
      version: 2,
      usable: true,
      banks: ["sha1", "sha256"],
    });
    expect(readTpm(machineWith("2", []))).toEqual({ version: 2, usable: true });
    expect(readTpm(machineWith("2", ["sha256"], false))).toBeUndefined();
    expect(readTpm(fakeMachine().machine)).toBeUndefined();
  });
});

describe("flagsProblem", () => {
  it("names what a processor lacks, where the kernel tells at all", () => {
    const info = "processor\t: 0\nflags\t\t: fpu lm sse2\n\nprocessor\t: 1\nflags\t\t: fpu\n";
    expect(flagsProblem(["lm", "sse2"], info)).toBeUndefined();
    expect(flagsProblem(["lm", "avx2"], info)).toBe("the processor lacks avx2");
    expect(flagsProblem(["lm"], "Processor: other\n")).toBeUndefined();
  });
});

describe("ask-machine", () => {
  const ask = async (data: object, machine?: MachinePaths, answers: Answers = {}) => {
    const { context, asked } = stepBench({ machine: machine ?? fakeMachine().machine, answers });
    await askMachine.run(askMachine.schema.parse({ cpuFlags: [], modules: [], ...data }), context);
    return asked;
  };
  const tpm2 = { bank: "sha256", volumes: ["root", "srv"] };

  it("looks for each module without loading it, and fails with its name", async () => {
    expect(await ask({ modules: ["dm-crypt", "xfs"] })).toEqual([
      "modprobe --dry-run --quiet -- dm-crypt",
      "modprobe --dry-run --quiet -- xfs",
    ]);
    const missing = { "modprobe --dry-run --quiet -- xfs": new Fail("modprobe exited 1") };
    await expect(ask({ modules: ["xfs"] }, undefined, missing)).rejects.toThrow("modprobe exited 1");
  });

  it("fails on a machine whose kernel shows no TPM, or one without the bank", async () => {
    await expect(ask({ tpm2 })).rejects.toMatchObject({
      message: "root, srv: the machine shows no TPM in the base",
      hint: expect.stringMatching(/switch its TPM 2\.0 on/),
    });
    await expect(ask({ tpm2 }, machineWith("2", ["sha1"]))).rejects.toThrow(/^root, srv: .*sha256/);
    expect(await ask({ tpm2 }, machineWith("2", ["sha256"]))).toEqual([]);
  });

  it("fails on a processor that lacks a flag", async () => {
    const { machine, put } = fakeMachine();
    put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm\n");
    await expect(ask({ cpuFlags: ["lm", "avx2"] }, machine)).rejects.toThrow("the processor lacks avx2");
    expect(await ask({ cpuFlags: ["lm"] }, machine)).toEqual([]);
  });
});
