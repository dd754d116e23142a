import { z } from "zod";

/** What a definition needs of the machine that it is deployed to, besides disks and network: the kernel's part, asked again in the base. */
export const MachineNeeds = z.strictObject({
  /** A TPM 2.0 with this bank of registers, for the named volumes. */
  tpm2: z
    .strictObject({ bank: z.enum(["sha256"]).optional(), volumes: z.array(z.string()).min(1) })
    .optional(),
  /** Flags of the processor, as /proc/cpuinfo names them. */
  cpuFlags: z.array(z.string()),
  /** Kernel modules by which its storage is made. */
  modules: z.array(z.string()),
});
export type MachineNeeds = z.output<typeof MachineNeeds>;

/** What a kernel shows of a TPM. */
export const TpmFacts = z.strictObject({
  /** 2 for a TPM 2.0. */
  version: z.int(),
  /** Banks of registers: "sha1", "sha256"; undefined where the kernel does not show them. */
  banks: z
    .array(z.string().regex(/^\w{1,32}$/))
    .max(64)
    .optional(),
  /** /dev/tpmrm0 exists. False: the firmware shows a TPM for which this kernel has loaded no driver. */
  usable: z.boolean(),
});
export type TpmFacts = z.output<typeof TpmFacts>;

/** Why a TPM is not what is needed; undefined where it is. */
export function tpmProblem(
  { bank }: NonNullable<MachineNeeds["tpm2"]>,
  tpm: TpmFacts | undefined,
): string | undefined {
  if (tpm === undefined) return "the machine shows no TPM";
  if (tpm.version !== 2) return `the machine has a TPM ${tpm.version === 1 ? "1.2" : tpm.version}`;
  if (bank === undefined || tpm.banks === undefined || tpm.banks.includes(bank)) return undefined;
  return `the machine's TPM has no ${bank} registers (it has ${tpm.banks.join(", ") || "none"})`;
}
