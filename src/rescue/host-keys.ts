import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unlockBySsh } from "../operator/unlock/by-ssh.ts";
import type { Spec } from "../schema/spec.ts";
import { hostKeyPrefix, initramfsKeyName, isSshHostKey } from "../steps/tree/write-secrets.ts";
import { run } from "../system/run/run.ts";
import { Fail } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";

const keygenMs = 60_000;
const name = `${hostKeyPrefix}ssh_host_ed25519_key`;
type From = "secret" | "kept" | "new";

/**
 * SSH host keys of the rebuilt system, by the names under which they go with the secrets: the secret that the definition names, else
 * those that were kept of the machine, else new ones. `directory` is in memory.
 */
export async function hostKeysFor(
  spec: Pick<Spec, "hostKeys" | "hostname" | "storage">,
  secrets: ReadonlyMap<string, Secret>,
  directory = "/run/imgbuild",
): Promise<{ readonly keys: ReadonlyMap<string, Secret>; readonly from: From }> {
  const { hostKeys } = spec;
  const kept = [...secrets].filter(([one]) => isSshHostKey(one));
  const early = await initramfsKey(spec, secrets, directory);
  const found = (keys: Iterable<readonly [string, Secret]>, from: From) => ({
    keys: new Map([...keys, ...early]),
    from,
  });
  if (typeof hostKeys === "object") return found([[name, named(hostKeys.secret, name, secrets)]], "secret");
  if (kept.length > 0) return found(kept, "kept");
  return found([[name, await made(name, spec.hostname, directory)]], "new");
}

/** That of the initramfs, where the root is opened over SSH. */
async function initramfsKey(
  spec: Pick<Spec, "hostname" | "storage">,
  secrets: ReadonlyMap<string, Secret>,
  directory: string,
): Promise<(readonly [string, Secret])[]> {
  const served = unlockBySsh(spec);
  if (served === undefined) return [];
  const { hostKey } = served.unlock;
  const key =
    hostKey === undefined
      ? (secrets.get(initramfsKeyName) ?? (await made(initramfsKeyName, spec.hostname, directory)))
      : named(hostKey, initramfsKeyName, secrets);
  return [[initramfsKeyName, key]];
}

function named(secretName: string, as: string, secrets: ReadonlyMap<string, Secret>): Secret {
  const secret = secrets.get(secretName);
  if (secret === undefined) throw new Fail(`the medium does not have the secret ${secretName}`);
  return new Secret(as, Uint8Array.from(secret.expose()));
}

/** By which SSH knows the system: "SHA256:…". `keys`: as `hostKeysFor` gives them. */
export async function hostKeyShown(
  keys: ReadonlyMap<string, Secret>,
  directory = "/run/imgbuild",
): Promise<string> {
  const key = keys.get(name) ?? [...keys].find(([one]) => one !== initramfsKeyName)?.[1];
  if (key === undefined) throw new Fail("there is no SSH host key");
  const place = await mkdtemp(join(directory, "host-key-"));
  try {
    const file = join(place, "key");
    await writeFile(file, key.expose(), { mode: 0o600 });
    const { stdout: line } = await run(["ssh-keygen", "-y", "-f", file], { timeoutMs: keygenMs });
    await writeFile(`${file}.pub`, line);
    const { stdout } = await run(["ssh-keygen", "-l", "-f", `${file}.pub`], { timeoutMs: keygenMs });
    return stdout.split(" ")[1]!;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function made(as: string, hostname: string, directory: string): Promise<Secret> {
  const place = await mkdtemp(join(directory, "host-key-"));
  try {
    const file = join(place, "key");
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", hostname, "-f", file], {
      timeoutMs: keygenMs,
    });
    return new Secret(as, await readFile(file));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
