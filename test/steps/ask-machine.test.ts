import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { askMachine, flagsProblem, readTpm } from "../../src/steps/ask-machine.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { Fail } from "../../src/util/fail.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** A root whose kernel shows a TPM. */
function rootWith(version: string, banks: readonly string[], device = true): string {
  const root = tempDir();
  const at = join(root, "sys/class/tpm/tpm0");
  mkdirSync(join(root, "dev"), { recursive: true });
  for (const bank of banks) mkdirSync(join(at, `pcr-${bank}`), { recursive: true });
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, "tpm_version_major"), `${version}\n`);
  if (device) writeFileSync(join(root, "dev/tpmrm0"), "");
  return root;
}

describe("readTpm", () => {
  it("tells version and banks, and takes one without the kernel's resource manager for none", () => {
    expect(readTpm(rootWith("2", ["sha256", "sha1"]))).toEqual({
      version: 2,
      usable: true,
      banks: ["sha1", "sha256"],
    });
    expect(readTpm(rootWith("2", []))).toEqual({ version: 2, usable: true });
    expect(readTpm(rootWith("2", ["sha256"], false))).toBeUndefined();
    expect(readTpm(tempDir())).toBeUndefined();
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
  const ask = async (data: object, tool: (argv: readonly string[]) => Promise<unknown> = async () => ({})) =>
    await askMachine.run!(askMachine.schema.parse({ cpuFlags: [], modules: [], ...data }), {
      tool,
    } as unknown as StepContext);

  it("looks for each module without loading it, and fails with its name", async () => {
    const asked: string[] = [];
    await ask({ modules: ["dm-crypt", "xfs"] }, async (argv) => asked.push(argv.join(" ")));
    expect(asked).toEqual(["modprobe --dry-run --quiet -- dm-crypt", "modprobe --dry-run --quiet -- xfs"]);
    const missing = () => Promise.reject(new Fail("modprobe exited 1"));
    await expect(ask({ modules: ["xfs"] }, missing)).rejects.toThrow("modprobe exited 1");
  });

  it("fails on a machine whose kernel shows no TPM", async () => {
    const tpm2 = { bank: "sha256", volumes: ["root"] };
    if (readTpm("/") === undefined)
      await expect(ask({ tpm2 })).rejects.toMatchObject({
        message: "root: the machine shows no TPM in the base",
        hint: expect.stringMatching(/switch its TPM 2\.0 on/),
      });
    else await ask({ tpm2 });
  });
});
