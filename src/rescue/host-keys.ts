import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Spec } from "../schema/spec.ts";
import { hostKeyPrefix } from "../steps/tree/write-secrets.ts";
import { run } from "../system/run/run.ts";
import { Fail } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";

const keygenMs = 60_000;
const name = `${hostKeyPrefix}ssh_host_ed25519_key`;

/**
 * SSH host keys of the rebuilt system, by the names under which they go with the secrets: the secret that the definition names, else
 * those that were kept of the machine, else new ones. `directory` is in memory.
 */
export async function hostKeysFor(
  { hostKeys, hostname }: Pick<Spec, "hostKeys" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
  directory = "/run/imgbuild",
): Promise<{ readonly keys: ReadonlyMap<string, Secret>; readonly from: "secret" | "kept" | "new" }> {
  if (typeof hostKeys === "object") {
    const secret = secrets.get(hostKeys.secret);
    if (secret === undefined) throw new Fail(`the medium does not have the secret ${hostKeys.secret}`);
    return { keys: new Map([[name, new Secret(name, Uint8Array.from(secret.expose()))]]), from: "secret" };
  }
  const kept = [...secrets].filter(([one]) => one.startsWith(hostKeyPrefix));
  if (kept.length > 0) return { keys: new Map(kept), from: "kept" };
  const place = await mkdtemp(join(directory, "host-key-"));
  try {
    const file = join(place, "key");
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", hostname, "-f", file], {
      timeoutMs: keygenMs,
    });
    return { keys: new Map([[name, new Secret(name, await readFile(file))]]), from: "new" };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
