import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installHint } from "../../tables/distribution.ts";
import type { DefinedMachine } from "../../testing/lab.ts";
import { generateSshKey } from "../../transport/keys.ts";
import { Fail } from "../../util/fail.ts";
import type { Machine } from "../../vm/machine/machine.ts";
import type { Cli } from "./context.ts";

/** Ctrl-] leaves, as in telnet. */
const leaveKey = "\x1d";

/** The terminal on the machine's serial console, until the machine ends or Ctrl-] is typed. */
export async function consoleOf(machine: Machine, cli: Cli): Promise<void> {
  cli.log.info("console attached; Ctrl-] leaves and switches the machine off");
  const { stdin, stdout } = process;
  let shown = 0;
  let left = false;
  const onKey = (data: Buffer) => {
    if (data.toString("latin1").includes(leaveKey)) left = true;
    else machine.type(data.toString("utf8"));
  };
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", onKey);
  stdin.on("end", () => {
    left = true;
  });
  try {
    await machine.start();
    while (machine.isRunning && !left && !cli.signal.aborted) {
      const text = machine.console.text.slice(shown);
      shown += text.length;
      stdout.write(text);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    stdin.off("data", onKey);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
  }
}

/**
 * OpenSSH's client, for its terminal handling; without a terminal it runs what comes on stdin. The login's key is made for
 * this machine, whose disk is an overlay that ends with it.
 */
export async function shellIn(machine: DefinedMachine, cli: Cli): Promise<void> {
  await cli.log.task(`booting ${machine.name}`, () => machine.boot());
  const login = generateSshKey("imgbuild-shell");
  const user = administrator(machine);
  await machine.succeed(
    `home=$(getent passwd ${user} | cut -d: -f6) && install -d -m 700 -o ${user} "$home/.ssh" &&
     cat >>"$home/.ssh/authorized_keys" && chown ${user} "$home/.ssh/authorized_keys" && chmod 600 "$home/.ssh/authorized_keys"`,
    { stdin: `\n${login.public}\n` },
  );
  await machine.waitForPort(22);
  const port = String(await machine.forward(22));
  const key = join(machine.directory, "key");
  const known = join(machine.directory, "known_hosts");
  await writeFile(key, login.private, { mode: 0o600 });
  await writeFile(known, `${machine.name} ${machine.hostKey}\n`);
  cli.log.info("the machine is switched off when the shell ends");
  const options = [
    ...["-o", `UserKnownHostsFile=${known}`, "-o", `HostKeyAlias=${machine.name}`],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"],
  ];
  const child = spawn("ssh", ["-F", "none", "-q", "-i", key, "-p", port, ...options, `${user}@127.0.0.1`], {
    stdio: "inherit",
  });
  const onAbort = () => child.kill("SIGTERM");
  cli.signal.addEventListener("abort", onAbort, { once: true });
  const [code] = (await once(child, "close").catch((error: Error) => {
    throw new Fail(`ssh could not be started: ${error.message}`, { hint: installHint("openssh-client") });
  })) as [number | null];
  cli.signal.removeEventListener("abort", onAbort);
  if (code !== 0) throw new Fail(`the shell ended with ${code ?? "a signal"}`);
}

/** Who may become root; root itself where nobody else may. */
function administrator(machine: DefinedMachine): string {
  return Object.entries(machine.spec.users).find(([, { sudo }]) => sudo)?.[0] ?? "root";
}
