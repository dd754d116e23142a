import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice } from "../storage/device.ts";
import { plainEnv } from "../system/run.ts";
import { Fail } from "../util/fail.ts";
import { defineStep } from "./step.ts";
import { trimmed } from "./storage-key.ts";

const timeoutMs = 600_000;
/** clevis puts what it works with into files for a moment; that is memory, and no disk. */
const inMemory = "/run";
/** What clevis' shell scripts and the TPM's library need of the running base. */
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
  }),
  tools: ["mount", "umount", "chroot"],
  run: async ({ device, secret, pin, config }, context) => {
    const key = context.secrets.get(secret);
    if (key === undefined) throw new Fail(`the secret ${secret} is not at hand`);
    const { path } = await openDevice(device);
    const mounted: string[] = [];
    try {
      for (const name of shared) {
        const where = join(context.root, name);
        await context.tool(["mount", "--rbind", "--make-rslave", `/${name}`, where], { timeoutMs });
        mounted.unshift(where);
      }
      const bind = ["clevis", "luks", "bind", "-f", "-y", "-k", "-", "-d", path, pin, config];
      await context.tool(["chroot", context.root, ...bind], {
        stdin: trimmed(key.expose()),
        env: { ...plainEnv, TMPDIR: inMemory },
        timeoutMs,
        hint:
          pin === "tpm2"
            ? "has this machine a TPM 2.0, switched on in its firmware?"
            : "does the tang server answer the base?",
      });
    } finally {
      for (const where of mounted) await context.tool(["umount", "--recursive", where], { timeoutMs });
    }
  },
});
