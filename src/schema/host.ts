import { z } from "zod";

/**
 * The host that a definition is for. Everything given must be the host's, or a deploy is refused before anything is done; one
 * of them is enough. `imgbuild plan DEF HOST` shows what a host has.
 */
export const HostBinding = z
  .strictObject({
    /** The firmware's UUID: /sys/class/dmi/id/product_uuid. Stays the same under any system. */
    dmiUuid: z
      .string()
      .regex(
        /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/,
        "a UUID, as in /sys/class/dmi/id/product_uuid",
      )
      .transform((uuid) => uuid.toLowerCase())
      .optional(),
    /** /etc/machine-id; the deployed system keeps it, so that the definition fits the next time too. */
    machineId: z
      .string()
      .regex(/^[0-9a-f]{32}$/, "32 hexadecimal digits, as in /etc/machine-id")
      .optional(),
    /** Fingerprint of one of its SSH host keys: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`. */
    sshHostKey: z
      .string()
      .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, "a fingerprint such as SHA256:…, as `ssh-keygen -l` prints it")
      .optional(),
  })
  .refine(
    (host) => Object.values(host).some((one) => one !== undefined),
    "needs `dmiUuid`, `machineId` or `sshHostKey`",
  );
export type HostBinding = z.output<typeof HostBinding>;
