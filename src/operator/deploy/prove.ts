import { markPath } from "../../steps/tree/finish-tree.ts";
import type { HealthResult } from "../../system/health/health.ts";
import { systemChecks } from "../../system/health/system-checks.ts";
import type { Host } from "../../transport/host.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { keepTrying } from "../../util/promises.ts";
import type { NewSystem } from "../records/known-deploys.ts";
import { waysTo } from "./who-answers.ts";
import type { DeployWorld } from "./world.ts";

/** While a machine starts, a connection may be neither refused nor answered: it holds up no other. */
export const pace = { pauseMs: 2_000, everyMs: 5_000, most: 4 } as const;
const connectMs = 20_000;
const smallMs = 30_000;

export interface Proof {
  readonly bootId: string;
  readonly os: string;
  readonly health: readonly HealthResult[];
}

type World = Pick<DeployWorld, "connect" | "log" | "now" | "signal">;

/** Waits for the new system, proves that it is the one just built, and runs the default checks. */
export async function proveNewSystem(
  expected: NewSystem,
  world: World,
  onAnswer: (host: Host) => void = () => {},
): Promise<Proof> {
  const host = await waitFor(
    expected.bootMs,
    world,
    "the new system",
    () => world.connect({ timeoutMs: connectMs, ...waysTo(expected) }),
    (late) => late.close(),
  );
  try {
    onAnswer(host);
    return await proofOf(host, expected, world);
  } finally {
    host.close();
  }
}

async function proofOf(host: Host, expected: NewSystem, { log, signal }: World): Promise<Proof> {
  const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
  if (!mark.stdout.includes(expected.nonce))
    throw new Fail("the system that answers is not the one just built", {
      hint: "it carries no mark of this deploy: the firmware may have started another disk",
    });
  const { stdout } = await host.exec(["cat", "/proc/sys/kernel/random/boot_id", "/etc/os-release"], {
    timeoutMs: smallMs,
  });
  const os = /^PRETTY_NAME="?([^"\n]*)/m.exec(stdout)?.[1] ?? "unknown";
  log.info(`${os} answers with the pinned host key and this deploy's mark`);
  const isRoot = await becomesRoot(host);
  const scale = Math.max(1, expected.slow);
  const health = await systemChecks(
    expected,
    {
      run: (argv, options) =>
        host.exec(argv, {
          root: isRoot,
          accept: "any",
          timeoutMs: (options?.timeoutMs ?? smallMs) * scale,
        }),
    },
    { log, signal, slow: expected.slow },
  );
  const judged = isRoot ? health : health.map((result) => withoutRoot(result, log));
  return { bootId: stdout.split("\n")[0]!, os, health: judged };
}

/** No password is asked for: it is the new system that is judged, and the operator may be gone. */
async function becomesRoot(host: Host): Promise<boolean> {
  try {
    return (await host.becomeRoot({})) !== "impossible";
  } catch (error) {
    if (!(error instanceof Fail) || host.closed) throw error;
    return false;
  }
}

/** Units, ports and packages are seen by every user; a definition's own command that fails without root's rights proves nothing. */
function withoutRoot(result: HealthResult, log: Log): HealthResult {
  if (result.ok || !result.check.startsWith("command ")) return result;
  const detail = `not checked: it fails, and nobody can become root there without a password: ${result.detail}`;
  log.warn(`${result.check}: ${detail}`);
  return { ...result, ok: true, detail };
}

/** A Fail that names each check that failed, with what it saw; undefined where none did. */
export function unhealthy(health: readonly HealthResult[]): Fail | undefined {
  const failed = health.filter(({ ok }) => !ok);
  if (failed.length === 0) return undefined;
  const lines = failed.map(({ check, detail }) => `  ${check}: ${detail.replaceAll("\n", "\n    ")}`);
  return new Fail(`the new system runs, but ${failed.length} of its checks failed:\n${lines.join("\n")}`, {
    hint: "mend the definition and deploy again; or log in and mend it there. `--accept-degraded` takes such a system as done",
  });
}

/** Tries until it succeeds, with a Fail of the last try's words at the end of its time. `close`: what another try had by then. */
export async function waitFor<T>(
  boundMs: number,
  world: Pick<DeployWorld, "now" | "signal">,
  what: string,
  connect: () => Promise<T>,
  close: (late: T) => void,
): Promise<T> {
  const until = world.now() + boundMs;
  let last: unknown;
  const found = await keepTrying(
    () =>
      connect().catch((error: unknown) => {
        last = error;
        throw error;
      }),
    {
      ...pace,
      goesOn: () => world.now() < until,
      isFinal: (error) => !(error instanceof Fail),
      close,
      signal: world.signal,
    },
  );
  if (found !== undefined) return found;
  throw new Fail(`${what} did not answer within ${Math.round(boundMs / 1000)} s: ${messageOf(last)}`, {
    hint: "look at the machine's console; the deploy's report says what was done",
  });
}
