import { writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../system/run/run.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { makeShell, type Shell } from "./shell.ts";

/** On ordinary hardware; multiplied by the machine's scale. A login alone takes seconds under emulation. */
const connectSeconds = 3;
const loginSeconds = 12;
/** One look whether sshd speaks, and the pause after a look in vain. */
const bannerTimeoutMs = 5_000;
const pauseMs = 500;

export interface SshLogin {
  readonly user: string;
  /** File of the private key. */
  readonly key: string;
  /** The only host keys that are accepted, "ssh-ed25519 AAAA…". */
  readonly pins: readonly string[];
}

/** Commands by the `ssh` program, as the user of the login; what a shell is for a machine that has none of ours. */
export interface SshShell extends Shell {
  /** Until the login works; gives the boot's id. `notBoot`: the old system may still answer for a while. */
  waitForLogin(options?: { readonly withinSeconds?: number; readonly notBoot?: string }): Promise<string>;
}

/** What it must know of the machine. */
interface SshPlace {
  readonly name: string;
  readonly directory: string;
  readonly scale: number;
  readonly isRunning: boolean;
  readonly console: { tail(): string };
  forward(port: number): Promise<number>;
}

export function sshShell(machine: SshPlace, login: SshLogin): SshShell {
  const { name, scale } = machine;
  const shell = makeShell(name, scale, async (script, options) => {
    const port = await machine.forward(22);
    const knownHosts = join(machine.directory, `known_hosts-${login.user}`);
    await writeFile(knownHosts, login.pins.map((pin) => `${name} ${pin}\n`).join(""));
    const seconds = Math.ceil(options.timeoutMs / 1000);
    const argv = [
      // -F none: neither the tester's configuration nor the machine's has a say.
      ...["ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"],
      ...["-i", login.key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"],
      ...["-o", "StrictHostKeyChecking=yes", "-o", `HostKeyAlias=${name}`],
      ...["-o", `UserKnownHostsFile=${knownHosts}`, "-o", "GlobalKnownHostsFile=none"],
      ...["-o", `ConnectTimeout=${connectSeconds * scale}`],
      ...["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"],
      ...["-p", String(port), "-l", login.user, "127.0.0.1", "--", script],
    ];
    const result = await run(argv, {
      timeoutMs: seconds * 1000 + loginSeconds * scale * 1000,
      accept: "any",
      shown: ["ssh", `${login.user}@${name}`, script],
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    });
    return { code: result.code, stdout: result.bytes, stderr: Buffer.from(result.stderr) };
  });
  return {
    ...shell,
    waitForLogin: async (options = {}) => {
      const boundMs = (options.withinSeconds ?? 60) * scale * 1000;
      const deadline = Date.now() + boundMs;
      // sshd shuts out who was refused a few times (PerSourcePenalties), and then gives no reason: both are shown.
      const reasons = new Set(["sshd does not answer"]);
      const because = (reason: string) => {
        reasons.delete(reason);
        reasons.add(reason);
      };
      while (machine.isRunning && Date.now() < deadline) {
        if (await speaks(await machine.forward(22))) {
          try {
            const boot = await shell.succeed(["cat", "/proc/sys/kernel/random/boot_id"]);
            if (boot !== options.notBoot) return boot;
            because("the system of before still answers");
          } catch (error) {
            because(messageOf(error));
          }
        }
        await sleep(pauseMs);
      }
      const why = machine.isRunning
        ? `no login within ${Math.round(boundMs / 1000)} s`
        : "the machine ended before anyone could log in";
      const [last, before] = [...reasons].reverse();
      const earlier = before === undefined ? "" : `\nbefore: ${before}`;
      throw new Fail(
        `${name}: ${why}; last: ${last}${earlier}\nthe console's end:\n${machine.console.tail()}`,
      );
    },
  };
}

/** QEMU accepts connections for a guest that is not up; only sshd's first word shows that it is. */
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
