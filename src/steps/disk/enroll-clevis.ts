import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { withMachine } from "../../system/door/door.ts";
import { plainEnv } from "../../system/run/run.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { trimmed } from "./storage-key.ts";

const timeoutMs = 600_000;
/** clevis puts what it works with into files for a moment; that is memory, and no disk. */
const clevisEnv = { ...plainEnv, TMPDIR: "/run" };
/** It works on the target's disk and TPM, so it is not behind the door. What clevis' shell scripts and the TPM's library need of the running base. */
const shared = ["dev", "proc", "sys", "run"] as const;

/** A key slot that a TPM or a tang server opens, made by the clevis of the new system. */
export const enrollClevis = defineStep({
  kind: "enroll-clevis",
  summary: "let a TPM or a tang server open a LUKS volume",
  schema: z.strictObject({
    device: DeviceRef,
    secret: z.string(),
    pin: z.enum(["tpm2", "tang"]),
    config: z.string(),
    /** File with what the tang server said of its keys. With it nobody is asked now. */
    advertisement: z.string().optional(),
  }),
  tools: ["mount", "umount", "chroot"],
  run: async ({ device, secret, pin, config, advertisement }, context) => {
    const key = context.secrets.get(secret);
    if (key === undefined) throw new Fail(`the secret ${secret} is not at hand`);
    const { path } = await openDevice(device, context.machine);
    const said = advertisement === undefined ? undefined : await readFile(advertisement, "utf8");
    const { argv, env } = clevisBind(path, {
      pin,
      config: said === undefined ? config : trusting(config, said),
    });
    const mounted: string[] = [];
    try {
      for (const name of shared) {
        const where = new Tree(context.root).directory(`/${name}`);
        await context.tool(["mount", "--rbind", "--make-rslave", `/${name}`, where], { timeoutMs });
        mounted.unshift(where);
      }
      await context.tool(withMachine(context.root, argv), {
        stdin: trimmed(key.expose()),
        env,
        timeoutMs,
        hint:
          pin === "tpm2"
            ? "has this machine a TPM 2.0, switched on in its firmware?"
            : "what the tang server says of its keys is in the base's /run/imgbuild",
      });
    } finally {
      for (const where of mounted) await context.tool(["umount", "--recursive", where], { timeoutMs });
    }
  },
});

/**
 * The command by which clevis makes a key slot; on its stdin comes a passphrase that opens the volume. Without `-y`: that is for
 * trusting whichever tang server answers, whatever thumbprint the configuration has.
 */
export function clevisBind(
  device: string,
  { pin, config }: { readonly pin: "tpm2" | "tang"; readonly config: string },
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  return { argv: ["clevis", "luks", "bind", "-f", "-k", "-", "-d", device, pin, config], env: clevisEnv };
}

/** The configuration with what the server said of its keys; clevis holds it against the thumbprint and its signatures. */
export function trusting(config: string, advertisement: string): string {
  return JSON.stringify({
    ...(JSON.parse(config) as Record<string, unknown>),
    adv: JSON.parse(advertisement) as unknown,
  });
}
