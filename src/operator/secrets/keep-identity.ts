import { join } from "node:path";
import { sealForAll } from "../../secrets/seal.ts";
import { keptIdentityName, keptIdentityText } from "../../steps/tree/kept-identity.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import type { Secret } from "../../util/secret.ts";
import { readRecipients } from "./secrets.ts";

/** Writes down by what a new system is known. */
export type KeepIdentity = (
  about: { readonly hostname: string; readonly machineId: string },
  hostKeys: ReadonlyMap<string, Secret>,
) => Promise<string>;

/**
 * What keeps host keys and machine-id of a new system in a directory, encrypted for the recipients that the directory names. Whether
 * it names any is found out now, not when the disks are written. Resolves with the path of the file.
 */
export async function identityKeeper(directory: string): Promise<KeepIdentity> {
  const recipients = await readRecipients(directory);
  await sealForAll(recipients, new Uint8Array());
  return async (about, hostKeys) => {
    const file = join(directory, keptIdentityName(about.hostname));
    await writeWhole(file, await sealForAll(recipients, keptIdentityText(about, hostKeys)), 0o644);
    return file;
  };
}
