import type { Spec } from "../../schema/spec.ts";
import { rescueKeyName } from "../../steps/tree/write-secrets.ts";
import { generateSshKey } from "../../transport/keys.ts";
import { Secret } from "../../util/secret.ts";
import { hostKeySecret } from "./host-key-secret.ts";

/** The host key of a base that stays as rescue system: as it travels with the secrets, and its public half. */
interface RescueKey {
  readonly secrets: ReadonlyMap<string, Secret>;
  /** "ssh-ed25519 AAAA…". */
  readonly pin: string;
  /** It is of this build or deploy, and was nowhere before. */
  readonly isNew: boolean;
}

/** One of the secrets, as the definition says, or a new one. Undefined where no base stays. */
export function rescueKey(
  spec: Pick<Spec, "boot" | "hostname">,
  secrets: ReadonlyMap<string, Secret>,
): RescueKey | undefined {
  if (!spec.boot?.rescue) return undefined;
  const name = rescueHostKey(spec);
  const made = name === undefined ? generateSshKey(`${spec.hostname}-rescue`) : undefined;
  const key =
    made === undefined
      ? hostKeySecret(name!, secrets)
      : { bytes: Buffer.from(made.private), public: made.public };
  return {
    secrets: new Map([[rescueKeyName, new Secret(rescueKeyName, key.bytes)]]),
    ...{ pin: key.public, isNew: made !== undefined },
  };
}

/** Name of the secret that is it. */
export function rescueHostKey({ boot }: Pick<Spec, "boot">): string | undefined {
  return typeof boot?.rescue === "object" ? boot.rescue.hostKey : undefined;
}
