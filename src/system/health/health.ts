import { setTimeout as sleep } from "node:timers/promises";
import type { HealthCheck } from "../../schema/spec.ts";
import { announced } from "../../util/announce.ts";
import { messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";

const tryEveryMs = 2_000;
const oneTryMs = 30_000;

/** How a command is run on the system that is checked; `code` is the program's own. */
export interface HealthShell {
  run(
    argv: readonly string[],
    options?: { timeoutMs?: number },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
}

export interface HealthResult {
  readonly check: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly detail: string;
}

/** What a check is called in reports: "unit nginx.service". */
export function showCheck(check: HealthCheck): string {
  if (check.type === "unit") return `unit ${check.unit}`;
  if (check.type === "port") return `port ${check.port}`;
  return `command ${check.argv.join(" ")}`;
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
  const argv =
    check.type === "unit"
      ? ["systemctl", "is-active", check.unit]
      : check.type === "port"
        ? // bash opens TCP connections by itself, so that nothing has to be installed for it.
          ["bash", "-c", 'exec 3<>"/dev/tcp/localhost/$1"', "bash", String(check.port)]
        : check.argv;
  try {
    const { code, stdout, stderr } = await shell.run(argv, { timeoutMs: oneTryMs });
    if (code === 0) return undefined;
    return (stderr.trim() || stdout.trim()).slice(-500) || `exit code ${code}`;
  } catch (error) {
    return messageOf(error);
  }
}
