import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Machine } from "../vm/machine/machine.ts";

/** An ssh_config and a known_hosts in `directory`, by which the machine is reached under that name. */
export async function loginFiles(
  name: string,
  directory: string,
  machine: Pick<Machine, "forward">,
  host: { readonly user: string; readonly key: string; readonly hostKeys: readonly string[] },
): Promise<{ sshConfig: string; knownHosts: string }> {
  const sshConfig = join(directory, "ssh_config");
  const knownHosts = join(directory, "known_hosts");
  const port = await machine.forward(22);
  await writeFile(knownHosts, host.hostKeys.map((key) => `[127.0.0.1]:${port} ${key}\n`).join(""));
  const lines = [`Host ${name}`, "  HostName 127.0.0.1", `  Port ${port}`, `  User ${host.user}`];
  lines.push(`  IdentityFile ${host.key}`, "  IdentityAgent none", `  UserKnownHostsFile ${knownHosts}`);
  await writeFile(sshConfig, `${lines.join("\n")}\n`);
  return { sshConfig, knownHosts };
}
