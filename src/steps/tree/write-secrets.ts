import { z } from "zod";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { ownerIn, placeFor } from "./owner.ts";

/** Secrets at their declared paths; the bytes come with the context, never in a plan. */
export const writeSecrets = defineStep({
  kind: "write-secrets",
  summary: "write secrets to their declared paths",
  schema: z.strictObject({
    secrets: z.array(
      z.strictObject({
        name: z.string(),
        path: z.string().startsWith("/"),
        mode: z.string(),
        owner: z.string(),
        group: z.string(),
      }),
    ),
  }),
  run: async ({ secrets }, context) => {
    for (const { name, path, mode, owner, group } of secrets) {
      const secret = context.secrets.get(name);
      if (secret === undefined) throw new Fail(`the secret ${name} is not at hand`);
      const tree = placeFor(context.root, path);
      if (tree.stat(path)?.isDirectory())
        throw new Fail(`${path} of secret ${name} is a directory in the tree`);
      const own = ownerIn(context.root, owner, group);
      tree.write(path, secret.expose(), { ...own, mode: Number.parseInt(mode, 8) });
    }
  },
});

/** Prefix of the names under which host keys travel among the secrets: "hostkey:ssh_host_ed25519_key". */
export const hostKeyPrefix = "hostkey:";

/** That of an SSH server in the initramfs, by which no other server is known. */
export const initramfsKeyName = `${hostKeyPrefix}initramfs_ed25519_key`;

/** That of the base where it stays as the machine's rescue system. */
export const rescueKeyName = `${hostKeyPrefix}rescue_ed25519_key`;

/** A name of one of the system's own. */
export function isSshHostKey(name: string): boolean {
  return name.startsWith(hostKeyPrefix) && name !== initramfsKeyName && name !== rescueKeyName;
}
