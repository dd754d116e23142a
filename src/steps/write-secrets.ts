import { chmod, chown, lstat, rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import { Fail } from "../util/fail.ts";
import { ownerIn, placeFor } from "./owner.ts";
import { defineStep } from "./step.ts";

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
  tools: [],
  run: async ({ secrets }, context) => {
    for (const { name, path, mode, owner, group } of secrets) {
      const secret = context.secrets.get(name);
      if (secret === undefined) throw new Fail(`the secret ${name} is not at hand`);
      const to = await placeFor(context.root, path);
      const found = await lstat(to).catch(() => undefined);
      if (found?.isDirectory()) throw new Fail(`${path} of secret ${name} is a directory in the tree`);
      if (found !== undefined) await rm(to);
      const { uid, gid } = await ownerIn(context.root, owner, group);
      await writeFile(to, secret.expose(), { mode: 0o600, flag: "wx" });
      await chown(to, uid, gid);
      await chmod(to, Number.parseInt(mode, 8));
    }
  },
});

/** Prefix of the names under which host keys travel among the secrets: "hostkey:ssh_host_ed25519_key". */
export const hostKeyPrefix = "hostkey:";
