import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loginTo, type TestImage } from "../operator/boot-image.ts";
import { Fail } from "../util/fail.ts";
import type { Machine } from "../vm/machine.ts";
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

/** OpenSSH's client, for its terminal handling; without a terminal it runs what comes on stdin. */
export async function shellIn(image: TestImage, machine: Machine, cli: Cli): Promise<void> {
  const host = await cli.log.task("waiting for the login", () => loginTo(image, machine, cli));
  host.close();
  const port = String(machine.port(22));
  const key = join(image.directory, "key");
  const known = join(image.directory, "known_hosts");
  await writeFile(key, image.key, { mode: 0o600 });
  await writeFile(known, `[127.0.0.1]:${port} ${image.hostKey}\n`);
  cli.log.info("the machine is switched off when the shell ends");
  const options = [
    "-o",
    `UserKnownHostsFile=${known}`,
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "IdentitiesOnly=yes",
  ];
  const child = spawn(
    "ssh",
    ["-F", "none", "-q", "-i", key, "-p", port, ...options, `${image.user}@127.0.0.1`],
    {
      stdio: "inherit",
    },
  );
  const onAbort = () => child.kill("SIGTERM");
  cli.signal.addEventListener("abort", onAbort, { once: true });
  const [code] = (await once(child, "close").catch((error: Error) => {
    throw new Fail(`ssh could not be started: ${error.message}`, { hint: "apt-get install openssh-client" });
  })) as [number | null];
  cli.signal.removeEventListener("abort", onAbort);
  if (code !== 0) throw new Fail(`the shell ended with ${code ?? "a signal"}`);
}
