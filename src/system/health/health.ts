import { setTimeout as sleep } from "node:timers/promises";
import type { HealthCheck } from "../../schema/health.ts";
import { announced } from "../../util/announce.ts";
import { messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { dnsProblem } from "./dns.ts";
import { httpProblem } from "./http.ts";
import type { HealthShell } from "./shell.ts";
import { failedUnits } from "./units.ts";

const tryEveryMs = 2_000;
const oneTryMs = 30_000;

export interface HealthResult {
  readonly check: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly detail: string;
}

/** What a check is called in reports: "unit nginx.service". */
export function showCheck(check: HealthCheck): string {
  switch (check.type) {
    case "unit":
      return `unit ${check.unit}`;
    case "port":
      return `port ${check.port}`;
    case "command":
      return `command ${check.argv.join(" ")}`;
    case "http":
      return `http ${check.url}`;
    case "dns":
      return `dns ${check.name} ${check.record}`;
    case "no-failed-units":
      return "no failed units";
  }
}

/** Runs every check, each until it passes or its time is over; `slow` multiplies the times. Runs all, even after a failure. */
export async function checkHealth(
  checks: readonly HealthCheck[],
  shell: HealthShell,
  options: { readonly log: Log; readonly signal: AbortSignal; readonly slow?: number },
): Promise<HealthResult[]> {
  const results: HealthResult[] = [];
  for (const check of checks) {
    const bound = check.withinSeconds * (options.slow ?? 1);
    results.push(
      await announced(showCheck(check), bound, options.log, () => runCheck(check, shell, options)),
    );
  }
  return results;
}

async function runCheck(
  check: HealthCheck,
  shell: HealthShell,
  options: { readonly log: Log; readonly signal: AbortSignal; readonly slow?: number },
): Promise<HealthResult> {
  const name = showCheck(check);
  const began = Date.now();
  const until = began + check.withinSeconds * 1000 * (options.slow ?? 1);
  for (;;) {
    options.signal.throwIfAborted();
    const failure = await tryOnce(check, shell);
    const seconds = (Date.now() - began) / 1000;
    if (failure === undefined) {
      options.log.info(`healthy: ${name}`);
      return { check: name, ok: true, seconds, detail: "passed" };
    }
    if (Date.now() >= until) {
      options.log.warn(`not healthy: ${name}: ${failure}`);
      return { check: name, ok: false, seconds, detail: failure };
    }
    await sleep(tryEveryMs);
  }
}

/** Undefined when it passed, else why not. */
async function tryOnce(check: HealthCheck, shell: HealthShell): Promise<string | undefined> {
  try {
    return await problemOf(check, shell);
  } catch (error) {
    return messageOf(error);
  }
}

async function problemOf(check: HealthCheck, shell: HealthShell): Promise<string | undefined> {
  switch (check.type) {
    case "unit":
      return await commandProblem(["systemctl", "is-active", check.unit], shell);
    case "port": {
      // bash opens TCP connections by itself, so that nothing has to be installed for it.
      const open = 'exec 3<>"/dev/tcp/localhost/$1"';
      return await commandProblem(["bash", "--norc", "-c", open, "bash", String(check.port)], shell);
    }
    case "command":
      return await commandProblem(check.argv, shell);
    case "http":
      return await httpProblem(check, shell);
    case "dns":
      return await dnsProblem(check, shell);
    case "no-failed-units": {
      const failed = await failedUnits(shell);
      return failed.length === 0 ? undefined : `failed: ${failed.join(", ")}`;
    }
  }
}

async function commandProblem(argv: readonly string[], shell: HealthShell): Promise<string | undefined> {
  const { code, stdout, stderr } = await shell.run(argv, { timeoutMs: oneTryMs });
  if (code === 0) return undefined;
  return (stderr.trim() || stdout.trim()).slice(-500) || `exit code ${code}`;
}
