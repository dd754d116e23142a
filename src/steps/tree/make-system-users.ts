import { z } from "zod";
import { Tree } from "../../tree/tree.ts";
import { defineStep } from "../step/step.ts";
import { placeFor } from "./owner.ts";

/** Users and groups of services, by systemd's own program. */
export const makeSystemUsers = defineStep({
  kind: "make-system-users",
  summary: "make users and groups of services",
  schema: z.strictObject({
    /** Where their lines, of sysusers.d(5), are on the new system. */
    path: z.string().startsWith("/"),
    content: z.string(),
  }),
  run: async ({ path, content }, context) => {
    placeFor(context.root, path);
    new Tree(context.root).write(path, content);
    await context.chroot(["systemd-sysusers", path]);
  },
});
