import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Spec } from "../schema/spec.ts";
import { expectedOf } from "../system/health/expected.ts";
import { systemChecks } from "../system/health/system-checks.ts";
import { run } from "../system/run/run.ts";
import { installHint } from "../tables/distribution.ts";
import { announced } from "../util/announce.ts";
import { messageOf } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Machine } from "../vm/machine/machine.ts";

export interface CheckResult {
  readonly check: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly detail: string;
}

const sshSeconds = 15;
const smallSeconds = 30;
/** Variables of the firmware: four bytes of attributes, then one that is 0 or 1. */
const firmwareFlag = (name: string) =>
  `/sys/firmware/efi/efivars/${name}-8be4df61-93ca-11d2-aa0d-00e098032b8c`;
/** The parts of an image that its running machine is compared with. */
interface Checked {
  readonly spec: Spec;
  /** The public host key that the machine answers with. */
  readonly hostKey: string;
  /** Paths of the definition's `files/`. */
  readonly placed: readonly string[];
}

interface CheckOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * What every definition has to pass in a VM that has booted: the checks that a deploy ends with, and what only our own machine can be
 * asked. Runs all of them, even after a failure.
 */
export async function defaultChecks(
  checked: Checked,
  machine: Machine,
  options: CheckOptions,
): Promise<CheckResult[]> {
  const shell = {
    run: (argv: readonly string[], { timeoutMs = 30_000 } = {}) =>
      machine.execute(argv, { withinSeconds: timeoutMs / 1000 }),
  };
  const expected = expectedOf(checked.spec, checked.placed);
  return [
    ...(await systemChecks(expected, shell, { ...options, slow: machine.scale })),
    ...(await machineChecks(checked, machine, options)),
  ];
}

/** What a deploy does not ask, as its host has its Secure Boot switched off and is reached with a key that is known to work. */
export async function machineChecks(
  { spec, hostKey }: Pick<Checked, "spec" | "hostKey">,
  machine: Machine,
  { log, signal }: CheckOptions,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const check = async (name: string, work: () => Promise<unknown>, bound = smallSeconds) => {
    signal.throwIfAborted();
    const began = Date.now();
    const detail = await announced(name, bound * machine.scale, log, work).then(() => undefined, messageOf);
    log.info(detail === undefined ? `holds: ${name}` : `does not hold: ${name}`);
    const seconds = (Date.now() - began) / 1000;
    results.push({ check: name, ok: detail === undefined, seconds, detail: detail ?? "passed" });
  };
  // Firmware without it has no such variables.
  if (spec.boot?.secureBoot !== undefined)
    await check("Secure Boot is on where the firmware has it", () =>
      machine.succeed(
        `test ! -e ${firmwareFlag("SetupMode")} || test "$(od -An -t u1 -j 4 ${firmwareFlag("SecureBoot")} | tr -d ' ')" = 1`,
      ),
    );
  for (const [user, { keys }] of Object.entries(spec.users))
    for (const key of keys)
      await check(
        `sshd takes the key of ${user} (${key.split(" ").slice(2).join(" ") || key.slice(0, 30)})`,
        () => sshTakes(machine, user, key, hostKey),
        2 * sshSeconds,
      );
  return results;
}

/**
 * Asks sshd whether it would take the key, as a client does before it signs: the private half is not needed for that.
 * The host key must be the machine's own.
 */
async function sshTakes(machine: Machine, user: string, key: string, hostKey: string): Promise<void> {
  const port = await machine.forward(22);
  const knownHosts = join(machine.directory, "known_hosts");
  const file = join(machine.directory, `declared-${user}.pub`);
  await writeFile(knownHosts, `${machine.name} ${hostKey}\n`);
  await writeFile(file, `${key.slice(key.search(/(ssh-|ecdsa-|sk-)/))}\n`);
  await machine.waitForPort(22);
  const { stderr } = await run(
    [
      ...["ssh", "-v", "-F", "none", "-T", "-o", "BatchMode=yes", "-i", file, "-o", "IdentitiesOnly=yes"],
      ...[
        "-o",
        "IdentityAgent=none",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        `HostKeyAlias=${machine.name}`,
      ],
      ...["-o", `UserKnownHostsFile=${knownHosts}`, "-o", "GlobalKnownHostsFile=none"],
      ...[
        "-o",
        `ConnectTimeout=${sshSeconds * machine.scale}`,
        "-p",
        String(port),
        "-l",
        user,
        "127.0.0.1",
        "--",
        "true",
      ],
    ],
    {
      timeoutMs: 2 * sshSeconds * 1000 * machine.scale,
      accept: [0, 255],
      hint: installHint("openssh-client"),
    },
  );
  if (/Server accepts key:/.test(stderr)) return;
  throw new Error(
    stderr
      .split("\n")
      .filter((line) => !/^debug1|^OpenSSH/.test(line) && line.trim() !== "")
      .join("\n") || "sshd does not take it",
  );
}
