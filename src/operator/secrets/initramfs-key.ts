import type { Spec } from "../../schema/spec.ts";
import { initramfsKeyName } from "../../steps/tree/write-secrets.ts";
import { generateSshKey } from "../../transport/keys.ts";
import { Secret } from "../../util/secret.ts";
import { unlockBySsh } from "../unlock/by-ssh.ts";
import { hostKeySecret } from "./host-key-secret.ts";

/** The host key of an initramfs: as it travels with the secrets, and its public half. */
interface InitramfsKey {
  readonly secrets: ReadonlyMap<string, Secret>;
  /** "ssh-ed25519 AAAA…". */
  readonly pin: string;
  /** It is of this build or deploy, and was nowhere before. */
  readonly isNew: boolean;
}

/** One of the secrets, as the definition says, or a new one. It is never the system's own: the initramfs is not encrypted. Undefined where nothing is opened over SSH. */
export function initramfsKey(
  spec: Pick<Spec, "storage" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
): InitramfsKey | undefined {
  const served = unlockBySsh(spec);
  if (served === undefined) return undefined;
  const { hostKey } = served.unlock;
  const key = hostKey === undefined ? madeFor(spec) : hostKeySecret(hostKey, secrets);
  return {
    secrets: new Map([[initramfsKeyName, new Secret(initramfsKeyName, key.bytes)]]),
    ...{ pin: key.public, isNew: hostKey === undefined },
  };
}

function madeFor({ hostname }: Pick<Spec, "hostname">): ReturnType<typeof hostKeySecret> {
  const made = generateSshKey(`${hostname}-initramfs`);
  return { bytes: Buffer.from(made.private), public: made.public };
}
