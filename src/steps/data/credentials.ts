import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bind } from "../../system/door/chroot.ts";
import { wipeFile } from "../../system/files/wipe-file.ts";
import { secretIn } from "../step/secret-input.ts";
import type { StepContext } from "../step/step.ts";

/** Where a program finds its secrets, as systemd gives them to a service. */
const inside = "/run/credentials/imgbuild";

/** A program's secrets, for as long as it runs: each a file of its name, in memory. */
export async function withCredentials<T>(
  names: readonly string[],
  context: Pick<StepContext, "secrets" | "machine">,
  work: (given: { readonly binds: Bind[]; readonly env: Readonly<Record<string, string>> }) => Promise<T>,
): Promise<T> {
  const secrets = names.map((name) => secretIn(context, name));
  const directory = join(context.machine.run, "imgbuild/credentials");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = secrets.map((secret) => join(directory, secret.name));
  try {
    for (const [index, secret] of secrets.entries())
      writeFileSync(files[index]!, secret.expose(), { mode: 0o400 });
    return await work({
      binds: [{ from: directory, to: inside, readOnly: true }],
      env: { CREDENTIALS_DIRECTORY: inside },
    });
  } finally {
    for (const file of files) wipeFile(file);
    rmSync(directory, { recursive: true, force: true });
  }
}
