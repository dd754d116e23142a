import { distribution } from "../../tables/distribution.ts";
import { announced } from "../../util/announce.ts";
import { messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { mergedUsr } from "../../util/tree-path.ts";
import type { Expected } from "./expected.ts";
import { notMounted } from "./fstab-mounts.ts";
import { checkHealth, type HealthResult } from "./health.ts";
import type { HealthShell } from "./shell.ts";
import { CannotAsk, failedUnits, journalOf, judgeUnits } from "./units.ts";

/** Bounds on an ordinary machine, in seconds; multiplied by `slow`. */
const bounds = { start: 180, unit: 60, audit: 60, verify: 120, small: 30 } as const;
/** In addition to the bound of a program that timeout(1) ends. */
const marginSeconds = 30;
/** How many journals of failed units are shown, and how many changed files are named. */
const shownUnits = 5;
const shownFiles = 10;
/** Exit code of timeout(1) for a program that was still running. */
const timedOut = 124;

interface CheckOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Factor on the times. */
  readonly slow: number;
}

/** What a check found: undefined where it passes, `unknown` where it could not be checked. */
type Finding = { readonly problem: string } | { readonly unknown: string } | undefined;

/**
 * What every running system has to pass, after a deploy and in `imgbuild test`: no unit has failed, what is enabled is active and
 * stays so, filesystems are mounted, dpkg finds nothing wrong, packages' files are whole, and the definition's health checks pass. Runs all
 * of them, even after a failure.
 */
export async function systemChecks(
  expected: Expected,
  shell: HealthShell,
  options: CheckOptions,
): Promise<HealthResult[]> {
  const { log, signal } = options;
  const slow = Math.max(1, options.slow);
  const results: HealthResult[] = [];
  const check = async (name: string, boundSeconds: number, work: () => Promise<Finding>) => {
    signal.throwIfAborted();
    const began = Date.now();
    const found = await announced(name, boundSeconds * slow, log, work).catch((error: unknown) =>
      error instanceof CannotAsk ? { unknown: error.message } : { problem: messageOf(error) },
    );
    if (found === undefined) log.info(`holds: ${name}`);
    else if ("unknown" in found) log.warn(`not checked: ${name}: ${found.unknown}`);
    else log.warn(`does not hold: ${name}: ${found.problem}`);
    const detail =
      found === undefined ? "passed" : "problem" in found ? found.problem : `not checked: ${found.unknown}`;
    const seconds = (Date.now() - began) / 1000;
    results.push({ check: name, ok: found === undefined || "unknown" in found, seconds, detail });
  };
  const units = watchUnits(expected.units, shell, slow, signal);
  await check("no unit has failed", bounds.start, () => nothingFailed(shell, slow));
  for (const unit of expected.units) await check(`unit ${unit}`, bounds.unit, () => units.judge(unit));
  await check("every filesystem is mounted", bounds.small, () => mounts(shell));
  await check("dpkg has nothing to complain of", bounds.audit, () => audit(shell, slow));
  await check("the packages' files are as they were packed", bounds.verify, () =>
    verify(expected, shell, slow),
  );
  await check("the machine has an identity of its own", bounds.small, async () => {
    const argv = ["grep", "-qE", "^[0-9a-f]{32}$", "/etc/machine-id"];
    const { code } = await shell.run(argv, { timeoutMs: bounds.small * 1000 });
    return code === 0 ? undefined : { problem: "/etc/machine-id holds none" };
  });
  const named = new Set(expected.units);
  const health = expected.health.filter((check) => check.type !== "unit" || !named.has(check.unit));
  results.push(...(await checkHealth(health, shell, options)));
  if (expected.units.length > 0) await check("the units stay as they are", bounds.unit, () => units.again());
  return results;
}

/** Runs a program that ends itself at its bound. */
async function bounded(argv: readonly string[], seconds: number, slow: number, shell: HealthShell) {
  const bound = Math.ceil(seconds * slow);
  // Not the shell's own bound, which is a lost answer: this one leaves what was printed.
  return await shell.run(["timeout", String(bound), ...argv], {
    timeoutMs: (seconds + marginSeconds) * 1000,
  });
}

async function nothingFailed(shell: HealthShell, slow: number): Promise<Finding> {
  const argv = ["systemctl", "is-system-running", "--wait"];
  const { stdout, stderr, code } = await bounded(argv, bounds.start, slow, shell);
  const state = stdout.trim();
  if (code === timedOut) return { problem: await stillStarting(shell, slow) };
  if (state === "running") return undefined;
  if (state === "" || state === "unknown") throw new CannotAsk(stderr.trim() || `systemctl exited ${code}`);
  const failed = await failedUnits(shell);
  // A unit that failed and was started again since.
  if (failed.length === 0 && state === "degraded") return undefined;
  if (failed.length === 0) return { problem: `the system is ${state}` };
  const journals: string[] = [];
  for (const unit of failed.slice(0, shownUnits)) journals.push(await withJournal("", unit, shell));
  return { problem: `${failed.join(", ")}\n${journals.join("\n")}` };
}

async function stillStarting(shell: HealthShell, slow: number): Promise<string> {
  const { stdout } = await shell.run(["systemctl", "list-jobs", "--no-legend", "--plain", "--no-pager"], {
    timeoutMs: bounds.small * 1000,
  });
  return `the system has not finished starting after ${Math.ceil(bounds.start * slow)} s; it waits for:\n${stdout.trim()}`;
}

async function withJournal(problem: string, unit: string, shell: HealthShell): Promise<string> {
  const lines = (await journalOf(unit, shell)).split("\n").map((line) => `  ${line}`);
  return [problem === "" ? `${unit}:` : problem, ...lines].join("\n");
}

/** All units are asked for together; each has a check of its own. */
function watchUnits(units: readonly string[], shell: HealthShell, slow: number, signal: AbortSignal) {
  let first: ReturnType<typeof judgeUnits> | undefined;
  const boundMs = bounds.unit * slow * 1000;
  return {
    judge: async (unit: string): Promise<Finding> => {
      first ??= judgeUnits(units, shell, { boundMs, signal });
      const problem = (await first).get(unit)?.problem;
      return problem === undefined ? undefined : { problem: await withJournal(problem, unit, shell) };
    },
    /** A unit that fails and is started again, over and over, is active at most looks. */
    again: async (): Promise<Finding> => {
      const before = [...((await first) ?? [])].filter(([, { problem }]) => problem === undefined);
      const names = before.map(([name]) => name);
      const now = await judgeUnits(names, shell, { boundMs: 0, signal });
      const problems: string[] = [];
      for (const [name, { restarts: then }] of before) {
        const { problem, restarts } = now.get(name) ?? { problem: undefined, restarts: then };
        if (problem === undefined && restarts <= then) continue;
        const says = problem ?? "it ended meanwhile, and was started again";
        problems.push(await withJournal(`${name}: ${says}`, name, shell));
      }
      return problems.length === 0 ? undefined : { problem: problems.join("\n") };
    },
  };
}

/** A filesystem that may be missing (`nofail`) leaves no failed unit when its disk does not appear. */
async function mounts(shell: HealthShell): Promise<Finding> {
  const read = async (path: string) =>
    (await shell.run(["cat", path], { timeoutMs: bounds.small * 1000 })).stdout;
  const missing = notMounted(await read("/etc/fstab"), await read("/proc/self/mountinfo"));
  if (missing.length === 0) return undefined;
  return { problem: `nothing is mounted at ${missing.join(", ")}, which /etc/fstab names` };
}

async function audit(shell: HealthShell, slow: number): Promise<Finding> {
  const { stdout, stderr, code } = await bounded(distribution.audit, bounds.audit, slow, shell);
  if (code === 0 && stdout.trim() === "") return undefined;
  return { problem: stdout.trim() || stderr.trim() || `${distribution.audit.join(" ")} exited ${code}` };
}

/** Compares every packaged file with its checksum, which reads the whole system once. */
async function verify(expected: Expected, shell: HealthShell, slow: number): Promise<Finding> {
  const { stdout, code } = await bounded(distribution.verify, bounds.verify, slow, shell);
  const placed = new Set(expected.placed);
  const { changed, unread } = changedFiles(stdout);
  const others = changed.filter((path) => !placed.has(mergedUsr(path)));
  if (others.length > 0) {
    const names = [...others.slice(0, shownFiles), ...(others.length > shownFiles ? ["…"] : [])];
    const says = `${others.length} are not: ${names.join(", ")}`;
    if (expected.scripts) return { unknown: `the definition's scripts may have changed files; ${says}` };
    return { problem: says };
  }
  if (code === timedOut)
    return { unknown: `not all: it took longer than ${Math.ceil(bounds.verify * slow)} s` };
  if (unread > 0) return { unknown: `${unread} files that this user may not read` };
  return undefined;
}

/**
 * Lines of dpkg --verify in rpm's form: "??5??????" for another content, or "missing"; then "c" for a configuration file, which is
 * meant to be changed.
 */
export function changedFiles(output: string): { readonly changed: string[]; readonly unread: number } {
  const changed: string[] = [];
  let unread = 0;
  for (const line of output.split("\n")) {
    const [, state = "", conffile, path = "", error] =
      /^(\S{9}|missing)\s+(?:(c)\s+)?(\/.*?)( \([^)]*\))?$/.exec(line) ?? [];
    if (path === "" || conffile !== undefined) continue;
    const isGone = state === "missing" && (error === undefined || /No such file/.test(error));
    if (isGone || state[2] === "5") changed.push(path);
    else unread += 1;
  }
  return { changed, unread };
}
