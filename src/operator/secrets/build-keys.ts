import type { Spec } from "../../schema/spec.ts";
import { graphOf } from "../../storage/graph/graph.ts";
import { rescueHostKey } from "./rescue-key.ts";
import { signingSecret } from "./secrets.ts";

/**
 * Names of the secrets without which nothing can be made: they open what is on the disks, and sign what the firmware starts.
 * An image needs them whether or not its secrets are put in; these are put nowhere.
 */
export function buildKeyNames(spec: Pick<Spec, "storage" | "boot">): string[] {
  const { storage } = spec;
  const opening = (storage === undefined ? [] : graphOf(storage).nodes).flatMap((node) => {
    // What is on a kept disk is no part of an image.
    if (node.kind !== "content" || node.place.on === "kept-disk" || node.content.type !== "luks") return [];
    const { key, recoveryKey, unlock } = node.content;
    return [key, recoveryKey ?? [], unlock.type === "ssh" ? (unlock.hostKey ?? []) : []].flat();
  });
  return [...new Set([...opening, signingSecret(spec) ?? [], rescueHostKey(spec) ?? []].flat())].sort();
}
