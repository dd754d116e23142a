import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { MachineNeeds, type TpmFacts, tpmProblem } from "../../schema/needs.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";

const modprobeMs = 60_000;

/**
 * Asks the machine, in the base and before anything is written, for what the definition needs: what the old system showed may be out
 * of the base's reach, and what is missing would end the build on wiped disks.
 */
export const askMachine = defineStep({
  kind: "ask-machine",
  summary: "ask the machine for what the definition needs of it",
  schema: MachineNeeds,
  run: async ({ tpm2, cpuFlags, modules }, { tool, machine }) => {
    // Built into the kernel counts as well; nothing is loaded.
    for (const name of modules)
      await tool(["modprobe", "--dry-run", "--quiet", "--", name], {
        timeoutMs: modprobeMs,
        hint: `the base's kernel has no ${name}, which the definition's storage needs`,
      });
    const problem = flagsProblem(cpuFlags, readFileSync(join(machine.proc, "cpuinfo"), "utf8"));
    if (problem !== undefined) throw new Fail(problem);
    if (tpm2 === undefined) return;
    const missing = tpmProblem(tpm2, readTpm(machine));
    if (missing !== undefined)
      throw new Fail(`${tpm2.volumes.join(", ")}: ${missing} in the base`, {
        hint: "switch its TPM 2.0 on in the firmware, or let another way of `unlock` open the volume",
      });
  },
});

/** The TPM as the kernel shows it; undefined where there is none. */
export function readTpm({ sys, dev }: Pick<MachinePaths, "sys" | "dev">): TpmFacts | undefined {
  const at = join(sys, "class/tpm/tpm0");
  if (!existsSync(at) || !existsSync(join(dev, "tpmrm0"))) return undefined;
  const version = Number(readFileSync(join(at, "tpm_version_major"), "utf8"));
  const banks = readdirSync(at).flatMap((name) => /^pcr-(\w+)$/.exec(name)?.[1] ?? []);
  return { version, usable: true, ...(banks.length === 0 ? {} : { banks: banks.sort() }) };
}

export function flagsProblem(wanted: readonly string[], cpuinfo: string): string | undefined {
  const has = new Set(/^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(" ") ?? []);
  const missing = wanted.filter((flag) => !has.has(flag));
  return has.size === 0 || missing.length === 0 ? undefined : `the processor lacks ${missing.join(", ")}`;
}
