import type { Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { machineIdOf } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { generateSshKey, publicKeyOf } from "../../transport/keys.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { Secret } from "../../util/secret.ts";
import { hostKeySecret } from "../secrets/host-key-secret.ts";
import { initramfsKey } from "../secrets/initramfs-key.ts";
import { rescueKey } from "../secrets/rescue-key.ts";
import type { HostKeys, Shipped } from "./results.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

const smallMs = 30_000;
const hostKeysScript: HostScript = { name: "list-host-keys", text: "ls /etc/ssh/ssh_host_*_key" };
/** Kinds that Debian's server knows and offers by itself; it is long since DSA was one of them. */
const keptKinds = /^ssh_host_(ed25519|ecdsa|rsa)_key$/;

/**
 * SSH host keys of a new system that are not the old one's, in memory: new ones, or one of the secrets, as the definition says. They
 * travel sealed, with the secrets.
 */
export function ownHostKeys(
  hostKeys: "new" | { readonly secret: string },
  hostname: string,
  secrets: ReadonlyMap<string, Secret>,
): HostKeys {
  const name = "hostkey:ssh_host_ed25519_key";
  if (hostKeys === "new") {
    const key = generateSshKey(hostname);
    return { secrets: new Map([[name, new Secret(name, Buffer.from(key.private))]]), pins: [key.public] };
  }
  const given = hostKeySecret(hostKeys.secret, secrets);
  return { secrets: new Map([[name, new Secret(name, given.bytes)]]), pins: [given.public] };
}

/** With those of the initramfs, where the definition has the root opened over SSH, and of the base, where it stays as rescue system. */
export function withMadeKeys(
  own: HostKeys,
  spec: Pick<Spec, "storage" | "boot" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
): HostKeys {
  const [early, rescue] = [initramfsKey(spec, secrets), rescueKey(spec, secrets)];
  return {
    ...own,
    secrets: new Map([...own.secrets, ...(early?.secrets ?? []), ...(rescue?.secrets ?? [])]),
    ...(early === undefined ? {} : { initramfsPin: early.pin }),
    ...(rescue === undefined ? {} : { rescuePin: rescue.pin }),
  };
}

/** Keeps them, and the machine-id, where the operator wants that. The deploy does not depend on it. */
export async function keepIdentity(
  { spec }: Pick<DeployInputs, "spec">,
  { hostKeys, identity }: Pick<Shipped, "hostKeys" | "identity">,
  { keep, log }: Pick<DeployWorld, "keep" | "log">,
): Promise<void> {
  if (keep === undefined) return;
  const { hostname, host } = spec;
  try {
    const machineId = host?.machineId ?? machineIdOf(identity.nonce);
    log.info(`host keys and machine-id are kept in ${await keep({ hostname, machineId }, hostKeys.secrets)}`);
  } catch (error) {
    log.warn(`host keys and machine-id are not kept: ${messageOf(error)}`);
  }
}

/**
 * Those of the old system, as far as the new one can use them. Read and proved while it still runs: a key that no tool of the new one
 * can read must not be found out on a wiped disk.
 */
export async function keptHostKeys(
  old: Pick<Host, "exec">,
  { hostKeys: pins }: Pick<Facts, "hostKeys">,
  log: Log,
): Promise<HostKeys> {
  const secrets = new Map<string, Secret>();
  const list = await old.exec(scriptArgv(hostKeysScript), {
    root: true,
    timeoutMs: smallMs,
  });
  for (const path of list.stdout.split("\n").filter((line) => line !== "")) {
    const file = path.slice("/etc/ssh/".length);
    const key = await old.exec(["cat", "--", path], { root: true, timeoutMs: smallMs });
    const bytes = Buffer.from(key.stdout);
    if (keptKinds.test(file) && publicKeyOf(bytes) !== undefined)
      secrets.set(`hostkey:${file}`, new Secret(`hostkey:${file}`, bytes));
    else log.warn(`the host key ${path} is not kept: it is none that the new system can use`);
  }
  if (![...secrets.values()].some((key) => pins.includes(publicKeyOf(key.expose()) ?? "")))
    throw new Fail(
      "none of the host's SSH keys can be kept, so the new system could not be told from another",
      {
        hint: 'say hostKeys: "new" in the definition',
      },
    );
  return { secrets, pins };
}
