import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { LockedPackage } from "../schema/lock.ts";
import { plainEnv } from "../system/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import { defineStep, type StepContext } from "./step.ts";

/** Packages a run of dpkg unpacks; it bounds how many wait on the disk at once. */
const batch = 50;
/** The whole of it on a slow disk, or where the processor is emulated. */
const timeoutMs = 4 * 3_600_000;

/** What maintainer scripts see. INITRD=No keeps the kernel's from making an initramfs that is made once, at the end. */
const scriptEnv = {
  ...plainEnv,
  HOME: "/root",
  DEBIAN_FRONTEND: "noninteractive",
  DEBCONF_NONINTERACTIVE_SEEN: "true",
  INITRD: "No",
};
/** Starts nothing: the machine that builds is not the one that will run (policy-rc.d of invoke-rc.d(8)). */
const policyPath = "usr/sbin/policy-rc.d";
const policy = "#!/bin/sh\nexit 101\n";

/** Unpacks and configures packages by the tree's own dpkg, with every maintainer script. */
export const installPackages = defineStep({
  kind: "install-packages",
  summary: "install packages with the tree's own dpkg",
  schema: z.strictObject({
    packages: z.array(LockedPackage).min(1),
    /** Times that dpkg and scripts write where they honour SOURCE_DATE_EPOCH; seconds. */
    epoch: z.int().positive(),
  }),
  tools: [],
  run: async ({ packages, epoch }, context) => {
    const { root, log } = context;
    const env = { ...scriptEnv, SOURCE_DATE_EPOCH: String(epoch) };
    await writeFile(join(root, policyPath), policy, { mode: 0o755 });
    await chmod(join(root, policyPath), 0o755);
    await mkdir(join(root, "var/lib/apt/lists/partial"), { recursive: true });
    const essential = packages.filter((one) => one.bootstrap);
    const others = packages.filter((one) => !one.bootstrap);
    await log.task(`installing ${essential.length} essential packages`, (inner) =>
      dpkg(context, ["--install"], essential, env, inner),
    );
    await context.release(essential);
    await log.task(`unpacking ${others.length} packages`, async (inner) => {
      await context.fetch(others, inner);
      for (let at = 0; at < others.length; at += batch) {
        const some = others.slice(at, at + batch);
        await dpkg(context, ["--unpack"], some, env, quiet(inner));
        await context.release(some);
        inner.progress(Math.min(at + batch, others.length), others.length, "packages");
      }
    });
    await log.task(`configuring ${others.length} packages`, (inner) =>
      dpkg(context, ["--configure", "--pending"], [], env, inner, others.length),
    );
    await rm(join(root, policyPath));
    await markAutomatic(root, packages);
    await checkInstalled(context, packages);
  },
});

/** dpkg takes the order as given: the lock has dependencies first, and cycles are why --force-depends is needed. */
async function dpkg(
  context: StepContext,
  action: readonly string[],
  packages: readonly LockedPackage[],
  env: Readonly<Record<string, string>>,
  log: Log,
  total = packages.length,
): Promise<void> {
  const paths = packages.map((one) => context.packagePath(one).inside);
  const options = [
    "--force-unsafe-io",
    "--force-confold",
    ...(packages.length > 0 ? ["--force-depends"] : []),
  ];
  let done = 0;
  const onLine = (line: string) => {
    if (!/^Setting up /.test(line)) return;
    done += 1;
    log.progress(Math.min(done, total), total, "packages");
  };
  await context.chroot(["dpkg", ...options, ...action, ...paths], {
    env,
    timeoutMs,
    onLine,
    signal: context.signal,
    hint: "a maintainer script failed; its words are above",
  });
}

function quiet(log: Log): Log {
  return { ...log, progress: () => {} };
}

/** apt's marks: what the definition does not name may go when nothing needs it. */
async function markAutomatic(root: string, packages: readonly LockedPackage[]): Promise<void> {
  const stanzas = packages
    .filter((one) => !one.requested && !one.bootstrap)
    .map((one) => one.name)
    .sort()
    .map((name) => `Package: ${name}\nArchitecture: amd64\nAuto-Installed: 1\n`);
  await writeFile(join(root, "var/lib/apt/extended_states"), stanzas.map((one) => `${one}\n`).join(""));
}

/** Every package of the lock is installed in its version, and dpkg finds nothing wrong. */
async function checkInstalled(context: StepContext, packages: readonly LockedPackage[]): Promise<void> {
  const query = ["dpkg-query", "--show", "--showformat", `\${Package} \${Version} \${db:Status-Abbrev}\\n`];
  const { stdout } = await context.chroot(query);
  const installed = new Map(
    stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => [line.split(" ")[0]!, line] as const),
  );
  const wrong = packages.filter((one) => installed.get(one.name)?.trim() !== `${one.name} ${one.version} ii`);
  if (wrong.length > 0)
    throw new Fail(
      `${wrong.length} packages are not installed as locked: ${wrong.map((one) => installed.get(one.name) ?? one.name).join("; ")}`,
    );
  const audit = await context.chroot(["dpkg", "--audit"], { accept: [0, 1] });
  if (audit.stdout.trim() !== "") throw new Fail(`dpkg --audit complains:\n${audit.stdout.trim()}`);
}
