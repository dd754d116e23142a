import type { HealthCheck, Spec } from "../schema/spec.ts";
import { checkHealth, type HealthResult } from "../system/health.ts";
import type { Host } from "../transport/host.ts";
import type { Log } from "../util/log.ts";

const anyCode = Array.from({ length: 256 }, (_none, code) => code);

/** What every definition has to pass in a VM: it starts whole, dpkg is content, the declared services and checks hold. */
export async function defaultChecks(
  spec: Spec,
  host: Host,
  options: { readonly log: Log; readonly signal: AbortSignal; readonly slow: number },
): Promise<HealthResult[]> {
  const command = (...argv: string[]): HealthCheck => ({ type: "command", argv, withinSeconds: 60 });
  const services: HealthCheck[] = Object.entries(spec.services)
    .filter(
      ([name, { state }]) =>
        state === "enabled" && /\.(service|socket|timer)$/.test(name) && !name.includes("@"),
    )
    .map(([unit]) => ({ type: "unit", unit, withinSeconds: 60 }));
  const checks: HealthCheck[] = [
    command(
      "sh",
      "-c",
      'test "$(systemctl is-system-running --wait)" = running || { systemctl --failed --no-legend; exit 1; }',
    ),
    command("sh", "-c", 'test -z "$(dpkg --audit)"'),
    command("test", "-s", "/etc/machine-id"),
    ...services,
    ...spec.health,
  ];
  const shell = {
    run: (argv: readonly string[], { timeoutMs = 30_000 } = {}) =>
      host.exec(argv, { root: true, accept: anyCode, timeoutMs: timeoutMs * options.slow }),
  };
  return await checkHealth(checks, shell, options);
}
