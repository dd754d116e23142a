import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";
import { hostKeyPrefix, rescueKeyName } from "./write-secrets.ts";

/**
 * By what others know a machine, kept for the day on which it is rebuilt from nothing: JSON, encrypted by age in a file that
 * `keptIdentityName` names.
 */
const KeptIdentity = z.strictObject({
  version: z.literal(1),
  hostname: z.string(),
  /** 32 hexadecimal digits. */
  machineId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  /** "ssh_host_ed25519_key" → the private key as OpenSSH writes it; that of the initramfs is "initramfs_ed25519_key". */
  hostKeys: z.record(z.string().regex(/^(ssh_host|initramfs)_[a-z0-9]{1,20}_key$/), z.string().min(1)),
});
type KeptIdentity = z.output<typeof KeptIdentity>;

/** "web-host-keys.age": the same for the deploy that writes it and the medium that takes it along. */
export function keptIdentityName(hostname: string): string {
  return `${hostname}-host-keys.age`;
}

/** The plain text of such a file; `secrets` are the host keys as they travel, others among them are passed over. */
export function keptIdentityText(
  about: { readonly hostname: string; readonly machineId?: string | undefined },
  secrets: ReadonlyMap<string, Secret>,
): Uint8Array {
  const hostKeys = [...secrets]
    // A machine that is rebuilt by a medium has no rescue system until its next deploy, which makes a key.
    .filter(([name]) => name.startsWith(hostKeyPrefix) && name !== rescueKeyName)
    .map(([name, key]) => [name.slice(hostKeyPrefix.length), Buffer.from(key.expose()).toString("utf8")]);
  const { hostname, machineId } = about;
  const identity: KeptIdentity = {
    ...{ version: 1, hostname },
    ...(machineId === undefined ? {} : { machineId }),
    hostKeys: Object.fromEntries(hostKeys),
  };
  return Buffer.from(`${JSON.stringify(identity, null, 2)}\n`);
}

/** What such a text holds: host keys by the names under which they travel with the secrets. */
export function readKeptIdentity(
  text: Uint8Array,
  from: string,
): { readonly machineId: string | undefined; readonly hostKeys: ReadonlyMap<string, Secret> } {
  const parsed = KeptIdentity.safeParse(parsedJson(Buffer.from(text).toString("utf8")));
  // What is wrong with it could show a key.
  if (!parsed.success)
    throw new Fail(`${from} does not hold the host keys of a machine`, {
      hint: "it is written by `imgbuild deploy --escrow DIR`; take an earlier version of it",
    });
  const { machineId, hostKeys } = parsed.data;
  return {
    machineId,
    hostKeys: new Map(
      Object.entries(hostKeys).map(([file, key]) => {
        const name = `${hostKeyPrefix}${file}`;
        return [name, new Secret(name, Buffer.from(key))] as const;
      }),
    ),
  };
}
