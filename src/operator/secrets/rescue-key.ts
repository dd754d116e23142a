import type { Spec } from "../../schema/spec.ts";
import { rescueKeyName } from "../../steps/tree/write-secrets.ts";
import type { Secret } from "../../util/secret.ts";
import { type OwnHostKey, ownHostKey } from "./host-key-secret.ts";

/** Of a base that stays as rescue system: one of the secrets, as the definition says, or a new one. Undefined where none stays. */
export function rescueKey(
  spec: Pick<Spec, "boot" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
): OwnHostKey | undefined {
  if (!spec.boot?.rescue) return undefined;
  const how = { secret: rescueHostKey(spec), comment: `${spec.hostname}-rescue` };
  return ownHostKey(rescueKeyName, how, secrets);
}

/** Name of the secret that is it. */
export function rescueHostKey({ boot }: Pick<Spec, "boot">): string | undefined {
  return typeof boot?.rescue === "object" ? boot.rescue.hostKey : undefined;
}
