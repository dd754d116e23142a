import { generateSshKey, publicKeyOf } from "../../transport/keys.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { Secret } from "../../util/secret.ts";
import type { DeployInputs, DeployState } from "./state.ts";

const smallMs = 30_000;
/** Kinds that Debian's server knows and offers by itself; it is long since DSA was one of them. */
const keptKinds = /^ssh_host_(ed25519|ecdsa|rsa)_key$/;

/**
 * The new system's SSH host keys, in memory: the old system's, new ones, or one of the secrets, as the definition says. They
 * travel sealed, with the secrets. Of keys that are not the old ones the public halves are noted, to be pinned.
 */
export async function hostKeysFor(
  inputs: DeployInputs,
  state: Pick<DeployState, "facts" | "newHostKeys" | "old">,
  log: Log,
): Promise<ReadonlyMap<string, Secret>> {
  const { hostKeys } = inputs.spec;
  if (hostKeys === "keep") return await oldHostKeys(state, log);
  const name = "hostkey:ssh_host_ed25519_key";
  if (hostKeys === "new") {
    const made = generateSshKey(inputs.spec.hostname);
    state.newHostKeys = [made.public];
    return new Map([[name, new Secret(name, Buffer.from(made.private))]]);
  }
  const given = inputs.secrets.get(hostKeys.secret);
  const publicKey = given === undefined ? undefined : publicKeyOf(given.expose());
  if (given === undefined || publicKey === undefined || !publicKey.startsWith("ssh-ed25519 "))
    throw new Fail(
      `the secret ${hostKeys.secret} is no OpenSSH private key of type ed25519 without a passphrase`,
      {
        hint: "make one with `ssh-keygen -t ed25519 -N '' -f key`",
      },
    );
  state.newHostKeys = [publicKey];
  return new Map([[name, new Secret(name, Uint8Array.from(given.expose()))]]);
}

/** Read and proved while the old system still runs: a key that no tool of the new one can read must not be found out on a wiped disk. */
async function oldHostKeys(
  state: Pick<DeployState, "facts" | "old">,
  log: Log,
): Promise<ReadonlyMap<string, Secret>> {
  const kept = new Map<string, Secret>();
  if (state.old === undefined) return kept;
  const list = await state.old.exec(["sh", "-c", "ls /etc/ssh/ssh_host_*_key"], {
    root: true,
    timeoutMs: smallMs,
  });
  for (const path of list.stdout.split("\n").filter((line) => line !== "")) {
    const file = path.slice("/etc/ssh/".length);
    const key = await state.old.exec(["cat", "--", path], { root: true, timeoutMs: smallMs });
    const bytes = Buffer.from(key.stdout);
    if (keptKinds.test(file) && publicKeyOf(bytes) !== undefined)
      kept.set(`hostkey:${file}`, new Secret(`hostkey:${file}`, bytes));
    else log.warn(`the host key ${path} is not kept: it is none that the new system can use`);
  }
  const pins = state.facts?.hostKeys ?? [];
  if (![...kept.values()].some((key) => pins.includes(publicKeyOf(key.expose()) ?? "")))
    throw new Fail(
      "none of the host's SSH keys can be kept, so the new system could not be told from another",
      {
        hint: 'say hostKeys: "new" in the definition',
      },
    );
  return kept;
}
