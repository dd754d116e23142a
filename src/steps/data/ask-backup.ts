import { cpSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { LockedPackage } from "../../schema/lock.ts";
import { type Bind, chrootRun } from "../../system/door/chroot.ts";
import { plainEnv } from "../../system/run/run.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { defineActions } from "../step/actions.ts";
import type { StepContext } from "../step/step.ts";
import { withCredentials } from "./credentials.ts";
import { shower } from "./shower.ts";

/** A server may be slow to answer, and a network to be there. */
const connectMs = 15_000;
const connectTries = 3;
const betweenMs = 2_000;
const unpackMs = 300_000;
const tryMs = 300_000;
const hint =
  "nothing was written; see to the server and the secrets of `data.backup`, or leave the data for later: deploy without --restore, or choose 6 at a medium";

/** What a name is looked up by, and what certificates are trusted: those of the base. */
const ofTheBase = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"];
/** Directories of the unpacked system, the one that the door mounts upon among them. */
const places = ["dev", "proc", "run", "sys", "tmp", "root", "etc/ssl/certs", "usr"];
const merged = ["bin", "sbin", "lib", "lib64"];

/**
 * Tries the backup before anything is written: whether its server answers and, by its own program, whether the secrets open it and there is
 * something to restore. The new system does not exist yet, so its packages are unpacked in memory.
 */
export const askBackup = defineActions({
  kind: "ask-backup",
  schema: z.strictObject({
    /** The text of the program that backs up. */
    script: z.string(),
    secrets: z.array(z.string()),
    /** What it needs to run, with all that this depends on; without any, only the server is reached. */
    packages: z.array(LockedPackage),
    server: z.strictObject({ host: z.string(), port: z.int() }).optional(),
  }),
  actions: ({ script, secrets, packages, server }) => [
    ...(server === undefined
      ? []
      : [
          {
            does: `connect to ${server.host}, port ${server.port}`,
            run: ({ signal }: StepContext) => reach(server.host, server.port, signal),
          },
        ]),
    ...(packages.length === 0
      ? []
      : [
          {
            does: `unpack ${packages.map(({ name }) => name).join(", ")} in memory, and run in the sandbox, with the network: imgbuild-backup try`,
            run: (context: StepContext) => tryBackup(script, secrets, packages, context),
          },
        ]),
  ],
});

async function tryBackup(
  script: string,
  secrets: readonly string[],
  packages: readonly LockedPackage[],
  context: StepContext,
): Promise<void> {
  const directory = join(context.machine.run, "imgbuild/ask-backup");
  const remove = () => rmSync(directory, { recursive: true, force: true });
  remove();
  try {
    try {
      await context.fetch(packages, context.log);
    } catch (error) {
      context.signal.throwIfAborted();
      // A medium may bring the whole tree, and no archive be in reach.
      return context.log.warn(
        `its packages are not at hand, so the backup is not tried: ${messageOf(error)}`,
      );
    }
    await unpack(packages, directory, context);
    await context.release(packages);
    writeFileSync(join(directory, "imgbuild-backup"), script, { mode: 0o755 });
    await runIn(directory, secrets, context);
  } finally {
    remove();
  }
}

async function runIn(directory: string, secrets: readonly string[], context: StepContext): Promise<void> {
  const lines = shower(context.log);
  const own = ofTheBase.filter((path) => existsSync(path));
  await withCredentials(secrets, context, async ({ binds, env }) => {
    const given: Bind[] = [...binds, ...own.map((path) => ({ from: path, to: path, readOnly: true }))];
    const ran = chrootRun(directory, ["/imgbuild-backup", "try"], {
      binds: given,
      network: true,
      // No locale is unpacked.
      env: { ...plainEnv, LC_ALL: "C", ...env, HOME: "/root" },
      timeoutMs: tryMs,
      onLine: lines.show,
      signal: context.signal,
    });
    await ran.catch((error: unknown) => {
      if (!(error instanceof Fail)) throw error;
      const [how = ""] = error.message.split("\n");
      throw new Fail(
        ["the backup cannot be restored from", ...(lines.tail.length === 0 ? [how] : lines.tail)].join("\n"),
        {
          cause: error,
          hint,
        },
      );
    });
  });
}

/** Programs and libraries alone: no script of a package runs. */
async function unpack(
  packages: readonly LockedPackage[],
  directory: string,
  context: StepContext,
): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const place of places) mkdirSync(join(directory, place), { recursive: true });
  for (const one of packages) {
    const { outside } = context.packagePath(one);
    await context.tool(["dpkg-deb", "--extract", outside, directory], { timeoutMs: unpackMs });
  }
  for (const name of merged) {
    const [at, to] = [join(directory, name), join(directory, "usr", name)];
    mkdirSync(to, { recursive: true });
    // Debian 13's base-files has the links already; packages of Debian 12 have directories.
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory())
      cpSync(at, to, { recursive: true, verbatimSymlinks: true });
    rmSync(at, { recursive: true, force: true });
    symlinkSync(`usr/${name}`, at);
  }
  writeFileSync(join(directory, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
  writeFileSync(join(directory, "etc/group"), "root:x:0:\n");
}

async function reach(host: string, port: number, signal: AbortSignal): Promise<void> {
  for (let left = connectTries - 1; ; left -= 1) {
    signal.throwIfAborted();
    const problem = await connectOnce(host, port);
    if (problem === undefined) return;
    if (left <= 0)
      throw new Fail(`the server of the backup, ${host}, does not answer at port ${port}: ${problem}`, {
        hint,
      });
    await sleep(betweenMs, undefined, { signal });
  }
}

function connectOnce(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const end = (problem: string | undefined) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => end(undefined));
    socket.once("timeout", () => end(`no answer within ${connectMs / 1000} s`));
    socket.once("error", (error) => end(messageOf(error)));
  });
}
