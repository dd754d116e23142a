import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, connect as dial } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";

/** The keys of a server and of who may log in to it, in a home, and a known_hosts that knows nothing yet. */
export function sshHome(home: string): void {
  const ssh = join(home, ".ssh");
  mkdirSync(ssh, { recursive: true, mode: 0o700 });
  for (const file of [join(home, "host_key"), join(ssh, "id_ed25519")])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file]);
  writeFileSync(join(ssh, "known_hosts"), "");
}

/**
 * OpenSSH's own server on a loopback port, with a home whose known_hosts names it and whose id_ed25519 it lets in. `around` puts
 * another command before it, which becomes the server in the end. The home may have been made before.
 */
export async function startSshd(
  home: string,
  options: { readonly port?: number; readonly around?: readonly string[] } = {},
): Promise<{ port: number; hostKey: string; pid: number; stop: () => void }> {
  const ssh = join(home, ".ssh");
  const hostKeyFile = join(home, "host_key");
  if (!existsSync(hostKeyFile)) sshHome(home);
  const authorized = join(home, "authorized_keys");
  writeFileSync(authorized, readFileSync(join(ssh, "id_ed25519.pub")));
  chmodSync(authorized, 0o600);
  const port = options.port ?? (await freePort());
  const config = join(home, "sshd_config");
  writeFileSync(
    config,
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${hostKeyFile}`,
      `AuthorizedKeysFile ${authorized}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      `PidFile ${join(home, "sshd.pid")}`,
      "Subsystem sftp internal-sftp",
      // bash takes itself for a shell inside another then, and leaves out a ~/.bashrc of this machine, which may do anything.
      "SetEnv SHLVL=1",
    ].join("\n"),
  );
  // Privilege separation needs its directory; a package's tmpfiles entry makes it where systemd runs.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const [program, ...args] = [...(options.around ?? []), "/usr/sbin/sshd", "-D", "-e", "-f", config];
  const child = spawn(program!, args, { stdio: "ignore" });
  // Programs that wait for a child of theirs ignore what would end them politely.
  const stop = () => void child.kill(options.around === undefined ? "SIGTERM" : "SIGKILL");
  onTestFinished(stop);
  for (let attempt = 0; !(await answers(port)); attempt += 1) {
    if (attempt > 100) throw new Error("sshd did not start");
    await sleep(100);
  }
  const hostKey = readFileSync(`${hostKeyFile}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  writeFileSync(join(ssh, "known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`);
  return { port, hostKey, pid: child.pid!, stop };
}

export const localUser = userInfo().username;

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = dial(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
