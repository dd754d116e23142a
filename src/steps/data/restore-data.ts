import { z } from "zod";
import { plainEnv } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import { defineActions } from "../step/actions.ts";
import { resolverBind } from "../tree/provision.ts";
import { withCredentials } from "./credentials.ts";
import { shower } from "./shower.ts";

/** Terabytes over a slow line. */
const restoreMs = 7 * 24 * 3_600_000;
/** Lines of its output that a failure shows. */
const failureLines = 20;

/**
 * Brings the latest backup into the tree, by the program of the new system that made it: it sees the tree as its root, and the network.
 * What is there already is compared or written again, so a run that was cut off goes on. Databases come as dumps, which a service of the new
 * system loads when it first starts.
 */
export const restoreData = defineActions({
  kind: "restore-data",
  schema: z.strictObject({
    program: z.string().startsWith("/"),
    /** Names of the secrets that it reads. */
    secrets: z.array(z.string()),
    paths: z.array(z.string().startsWith("/")),
  }),
  actions: ({ program, secrets, paths }) => [
    {
      does: `in the sandbox, with the tree as its root and with the network: ${[program, "restore", "--", ...paths].join(" ")}`,
      run: async (context) => {
        const { log, signal, nonce } = context;
        const lines = shower(log);
        await withCredentials(secrets, context, async ({ binds, env }) => {
          const argv = [program, "restore", "--", ...paths];
          const ran = context.chroot(argv, {
            binds: [...binds, ...(await resolverBind(context.root))],
            network: true,
            bare: true,
            env: {
              ...plainEnv,
              ...env,
              HOME: "/root",
              ...(nonce === undefined ? {} : { IMGBUILD_DEPLOY: nonce }),
            },
            timeoutMs: restoreMs,
            onLine: lines.show,
            signal,
          });
          await ran.catch((error: unknown) => {
            if (!(error instanceof Fail)) throw error;
            const [how = ""] = error.message.split("\n");
            throw new Fail([how, ...lines.tail.slice(-failureLines)].join("\n"), {
              cause: error,
              hint: "what is restored stays; when the cause is mended, `imgbuild resume` goes on",
            });
          });
        });
      },
    },
  ],
});
