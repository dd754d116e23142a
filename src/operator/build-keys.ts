import type { Spec } from "../schema/spec.ts";
import { signingSecret } from "./secrets.ts";

/**
 * Names of the secrets without which nothing can be made: they open what lies on the disks, and sign what the firmware starts.
 * An image needs them whether or not its secrets are put in; these are put nowhere.
 */
export function buildKeyNames(spec: Pick<Spec, "storage" | "boot">): string[] {
  const signing = signingSecret(spec);
  return [...new Set([...openingKeys(spec.storage), ...(signing === undefined ? [] : [signing])])].sort();
}

/** Of encrypted volumes, wherever in the layout they are. */
function openingKeys(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  const { type, key, recoveryKey } = value as Record<string, unknown>;
  const own = type === "luks" ? [key, recoveryKey].filter((one) => typeof one === "string") : [];
  return [...own, ...Object.values(value).flatMap(openingKeys)];
}
