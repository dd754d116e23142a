import { writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunOptions, type RunResult, run } from "../../src/system/run.ts";
import { quoteArgv } from "../../src/transport/quote.ts";
import { Fail, messageOf } from "../../src/util/fail.ts";
import type { Machine } from "../../src/vm/machine.ts";

/** On real hardware; multiplied by the machine's scale. A login alone takes seconds under emulation. */
const connectTimeoutMs = 3_000;
const commandTimeoutMs = 12_000;
/** One look whether sshd speaks, and the pause after a look in vain. */
const bannerTimeoutMs = 5_000;
const pauseMs = 500;

/** ssh's own exit code for "no session"; a command's own 255 cannot be told from it. */
const noSession = 255;

export interface GuestLogin {
  readonly user: string;
  /** File of the private key. */
  readonly key: string;
  /** The only host keys that are accepted, "ssh-ed25519 AAAA…". */
  readonly pins: readonly string[];
}

/**
 * Waits until someone can log in with the `ssh` program, and gives the boot's id. After a reboot or a takeover pass the
 * old id as `notBoot`: the old system may still answer for a while. Fails at once when the machine has ended.
 */
export async function waitForSsh(
  machine: Machine,
  options: GuestLogin & { readonly timeoutMs: number; readonly notBoot?: string },
): Promise<string> {
  const deadline = Date.now() + options.timeoutMs;
  let last = "sshd does not answer";
  while (machine.isRunning && Date.now() < deadline) {
    if (await speaks(machine.port(22))) {
      try {
        const boot = (
          await guestRun(machine, options, ["cat", "/proc/sys/kernel/random/boot_id"])
        ).stdout.trim();
        if (boot !== options.notBoot) return boot;
        last = "the system of before still answers";
      } catch (error) {
        last = messageOf(error);
      }
    }
    await sleep(pauseMs);
  }
  const why = machine.isRunning
    ? `no login within ${Math.round(options.timeoutMs / 1000)} s`
    : "the machine ended before anyone could log in";
  throw new Fail(`${machine.name}: ${why}; last: ${last}\nthe console's end:\n${machine.console.tail()}`);
}

/** Runs one program in the guest by the `ssh` program. Fails as `run` does; a failure names the guest's argv. */
export async function guestRun(
  machine: Machine,
  login: GuestLogin,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const knownHosts = join(dirname(machine.consoleFile), "known_hosts");
  await writeFile(knownHosts, login.pins.map((pin) => `${machine.name} ${pin}\n`).join(""));
  return run(
    [
      // -F none: neither the tester's configuration nor the machine's has a say.
      ...["ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"],
      ...["-i", login.key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"],
      ...["-o", "StrictHostKeyChecking=yes", "-o", `HostKeyAlias=${machine.name}`],
      ...["-o", `UserKnownHostsFile=${knownHosts}`, "-o", "GlobalKnownHostsFile=none"],
      ...["-o", `ConnectTimeout=${(connectTimeoutMs * machine.scale) / 1000}`],
      ...["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"],
      ...["-p", String(machine.port(22)), "-l", login.user, "127.0.0.1", "--", quoteArgv(argv)],
    ],
    {
      timeoutMs: commandTimeoutMs * machine.scale,
      ...options,
      shown: ["ssh", `${login.user}@${machine.name}`, ...argv],
    },
  );
}

/** Asks the guest to reboot. The session may end in any way: with an answer, or cut off by the network going down. */
export async function guestReboot(machine: Machine, login: GuestLogin, sudo: boolean): Promise<void> {
  const argv = [...(sudo ? ["sudo", "-n"] : []), "systemctl", "reboot"];
  await guestRun(machine, login, argv, { accept: [0, noSession] });
}

/** QEMU accepts connections for a guest that is not up; only sshd's first word tells that one is. */
async function speaks(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    const end = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), bannerTimeoutMs);
    socket.once("data", (data) => end(data.toString("latin1").startsWith("SSH-")));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
