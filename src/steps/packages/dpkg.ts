import { ownersIn, statusStanzas } from "../../debian/unpack/dpkg-db.ts";
import type { StagedPackage } from "../../debian/unpack/stage.ts";
import { nextRound } from "../../debian/unpack/unpack-order.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import { onlyName } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { StepContext } from "../step/step.ts";
import { clearStaging, placeAll, runPreinsts, scriptEnv } from "./unpack.ts";

/** The whole of it on a slow disk, or where the processor is emulated. */
const timeoutMs = 4 * 3_600_000;

/** Starts nothing: the machine that builds is not the one that will run (policy-rc.d of invoke-rc.d(8)). */
const policyPath = "/usr/sbin/policy-rc.d";
const policy = "#!/bin/sh\nexit 101\n";

/** What all runs of dpkg for one tree share. */
export interface Installing {
  readonly env: Readonly<Record<string, string>>;
  readonly dpkgVersion: string;
  /** Names of packages that are configured; it grows. */
  readonly configured: Set<string>;
}

/** Does the work of dpkg in a tree that starts no services, where `configured` are installed before it and all of `packages` after it. */
export async function withDpkg(
  context: StepContext,
  packages: readonly LockedPackage[],
  configured: Iterable<string>,
  work: (installing: Installing) => Promise<void>,
): Promise<void> {
  const { root } = context;
  const tree = new Tree(root);
  tree.write(policyPath, policy, { mode: 0o755 });
  tree.makeDirectories("/var/lib/apt/lists/partial");
  const dpkgVersion = packages.find(({ name }) => name === "dpkg")?.version ?? "";
  await work({ env: scriptEnv, dpkgVersion, configured: new Set(configured) });
  clearStaging(root);
  tree.remove(policyPath);
  markAutomatic(tree, packages);
  await checkInstalled(context, packages);
}

/** Places leaves, configures them, and runs what is triggered by them. */
export async function installStagedLeaves(
  context: StepContext,
  staged: readonly StagedPackage[],
  installing: Installing,
): Promise<void> {
  if (staged.length === 0) return;
  const { log } = context;
  await log.task(`placing ${staged.length} more packages`, () => placeOthers(context, staged, installing));
  await log.task(`configuring ${staged.length} more packages`, (inner) =>
    dpkg(context, ["--configure", "--pending"], { env: installing.env, log: inner, total: staged.length }),
  );
}

/** A package's preinst runs before its files are placed, and what the package pre-depends on is configured before that. */
export async function placeOthers(
  context: StepContext,
  packages: readonly StagedPackage[],
  { env, dpkgVersion, configured }: Installing,
): Promise<void> {
  const { root, log } = context;
  const owners = ownersIn(root);
  const ordered = packages.map((staged) => ({
    staged,
    name: staged.locked.name,
    fields: staged.control.get("control")!.bytes.toString("utf8"),
  }));
  const all = [...ordered, ...statusStanzas(root)];
  let waiting: readonly (typeof ordered)[number][] = ordered;
  while (waiting.length > 0) {
    const { now, later, configure } = nextRound(waiting, all, configured);
    const staged = now.map((ordered) => ordered.staged);
    await runPreinsts(staged, context, env, dpkgVersion);
    const left = placeAll(staged, { root, owners }, { bootstrap: false, log });
    await unpackByDpkg(context, left, env);
    if (configure.length > 0)
      await dpkg(context, ["--no-triggers", "--configure", ...configure], {
        ...{ env, log: quiet(log), total: configure.length },
      });
    for (const name of configure) configured.add(name);
    waiting = later;
  }
}

/** What own unpacking leaves alone; dpkg takes the order as given. */
export async function unpackByDpkg(
  context: StepContext,
  packages: readonly LockedPackage[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  if (packages.length === 0) return;
  const log = quiet(context.log);
  await context.fetch(packages, log);
  const paths = packages.map((locked) => context.packagePath(locked).inside);
  // The lock has dependencies first; cycles are why they must be forced.
  await dpkg(context, ["--force-depends", "--unpack", ...paths], { env, log, total: packages.length });
  await context.release(packages);
}

/** Triggers wait for the last run, as apt has it: each is processed once. */
export async function dpkg(
  context: StepContext,
  action: readonly string[],
  options: {
    readonly env: Readonly<Record<string, string>>;
    readonly log: Log;
    readonly total: number;
  },
): Promise<void> {
  const { env, log, total } = options;
  let done = 0;
  const onLine = (line: string) => {
    if (!/^Setting up /.test(line)) return;
    done += 1;
    log.progress(Math.min(done, total), total, "packages");
  };
  await context.chroot(["dpkg", "--force-unsafe-io", "--force-confold", ...action], {
    env,
    timeoutMs,
    onLine,
    signal: context.signal,
    hint: "a maintainer script failed; its words are above",
  });
}

export function quiet(log: Log): Log {
  return { ...log, progress: () => {} };
}

/** apt's marks: what the definition does not name may go when nothing needs it. */
function markAutomatic(tree: Tree, packages: readonly LockedPackage[]): void {
  const stanzas = packages
    .filter((locked) => !locked.requested && !locked.bootstrap)
    .map((locked) => locked.name)
    .sort()
    .map((name) => `Package: ${name}\nArchitecture: ${onlyName}\nAuto-Installed: 1\n`);
  tree.write("/var/lib/apt/extended_states", stanzas.map((stanza) => `${stanza}\n`).join(""));
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
  const wrong = packages.filter(
    (locked) => installed.get(locked.name)?.trim() !== `${locked.name} ${locked.version} ii`,
  );
  if (wrong.length > 0)
    throw new Fail(
      `${wrong.length} packages are not installed as locked: ${wrong.map((leaf) => installed.get(leaf.name) ?? leaf.name).join("; ")}`,
    );
  const audit = await context.chroot(["dpkg", "--audit"], { accept: [0, 1] });
  if (audit.stdout.trim() !== "") throw new Fail(`dpkg --audit complains:\n${audit.stdout.trim()}`);
}
