import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DefinedMachine } from "../../../src/testing/index.ts";
import { project } from "../imgbuild.ts";

/** How a machine is reached: its address, and options by which the administrator of the definition logs in. */
export async function adminLogin(machine: DefinedMachine, directory: string) {
  const port = await machine.forward(22);
  const [key, known] = [join(directory, "admin-key"), join(directory, "known_hosts")];
  await writeFile(key, await readFile(join(project, "secrets/demo-admin-key")), { mode: 0o600 });
  await writeFile(known, `[127.0.0.1]:${port} ${machine.hostKey}\n`);
  return {
    ...{ port, key, known, host: `admin@127.0.0.1:${port}` },
    options: ["--ssh-key", key, "--known-hosts", known],
  };
}
