import type { Spec } from "../../schema/spec.ts";
import { initramfsKeyName } from "../../steps/tree/write-secrets.ts";
import type { Secret } from "../../util/secret.ts";
import { unlockBySsh } from "../unlock/by-ssh.ts";
import { type OwnHostKey, ownHostKey } from "./host-key-secret.ts";

/** One of the secrets, as the definition says, or a new one. It is never the system's own: the initramfs is not encrypted. Undefined where nothing is opened over SSH. */
export function initramfsKey(
  spec: Pick<Spec, "storage" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
): OwnHostKey | undefined {
  const served = unlockBySsh(spec);
  if (served === undefined) return undefined;
  const how = { secret: served.unlock.hostKey, comment: `${spec.hostname}-initramfs` };
  return ownHostKey(initramfsKeyName, how, secrets);
}
