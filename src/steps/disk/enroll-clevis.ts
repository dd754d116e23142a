import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DeviceRef } from "../../disks/device.ts";
import { targetRoot } from "../../schema/plan.ts";
import { withMachine } from "../../system/door/door.ts";
import { plainEnv } from "../../system/run/run.ts";
import { defineActions, device, inTree } from "../step/actions.ts";
import type { Word } from "../step/step.ts";

const timeoutMs = 600_000;
/** clevis puts what it works with into files for a moment; that is memory, and no disk. */
const clevisEnv = { ...plainEnv, TMPDIR: "/run" };
/** It works on the target's disk and TPM, so it is not in the sandbox. What clevis' shell scripts and the TPM's library need of the running base. */
const shared = ["dev", "proc", "sys", "run"] as const;

/** A key slot that a TPM or a tang server opens, made by the clevis of the new system. */
export const enrollClevis = defineActions({
  kind: "enroll-clevis",
  schema: z.strictObject({
    device: DeviceRef,
    secret: z.string(),
    pin: z.enum(["tpm2", "tang"]),
    config: z.string(),
    /** File with what the tang server said of its keys. With it no server is asked now. */
    advertisement: z.string().optional(),
  }),
  actions: ({ device: ref, secret, pin, config, advertisement }) => {
    const configuration: Word =
      advertisement === undefined
        ? config
        : {
            shown: "<the configuration with the keys of the server>",
            value: async () => trusting(config, await readFile(advertisement, "utf8")),
          };
    const { argv, env } = clevisBind<Word>(device(ref), { pin, config: configuration });
    const hint =
      pin === "tpm2"
        ? "has this machine a TPM 2.0, switched on in its firmware?"
        : "what the tang server says of its keys is in the base's /run/imgbuild";
    return [
      ...shared.map((name) => ({
        argv: ["mount", "--rbind", "--make-rslave", `/${name}`, inTree(`/${name}`)],
        options: { timeoutMs },
        undo: { argv: ["umount", "--recursive", inTree(`/${name}`)], options: { timeoutMs } },
      })),
      {
        argv: withMachine<Word>({ shown: targetRoot, value: ({ root }) => root }, argv),
        secrets: [{ name: secret, trim: true }],
        options: { env, timeoutMs, hint },
      },
    ];
  },
});

/**
 * The command by which clevis makes a key slot; on its stdin comes a passphrase that opens the volume. Without `-y`: that is for
 * trusting any tang server that answers, also without the configured thumbprint.
 */
export function clevisBind<W = string>(
  device: W,
  { pin, config }: { readonly pin: "tpm2" | "tang"; readonly config: W },
): { readonly argv: readonly (string | W)[]; readonly env: Readonly<Record<string, string>> } {
  return { argv: ["clevis", "luks", "bind", "-f", "-k", "-", "-d", device, pin, config], env: clevisEnv };
}

/** The configuration with what the server said of its keys; clevis holds it against the thumbprint and its signatures. */
export function trusting(config: string, advertisement: string): string {
  return JSON.stringify({
    ...(JSON.parse(config) as Record<string, unknown>),
    adv: JSON.parse(advertisement) as unknown,
  });
}
