import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { armored, sealForAll } from "../../secrets/seal.ts";
import { canonicalJson, parsedJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { KnownDeploy } from "./known-deploys.ts";

/** What is noted of a deploy, without the name by which its operator knows the host. */
export type DeployRecord = Omit<KnownDeploy, "host">;

const DeployRecord = KnownDeploy.omit({ host: true });

const Sealed = z.strictObject({
  version: z.literal(1),
  record: z.record(z.string(), z.unknown()),
  /** HMAC-SHA256 of the record's canonical JSON, hexadecimal; its key follows from the definition's secrets. */
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * The record of a deploy as it goes along with the base, for whoever goes on from another computer: encrypted for the recipients of the
 * definition's secrets, and authenticated by those secrets themselves, so that only who can open them can have written it. Text of age.
 * Undefined where there are no secrets or no recipients.
 */
export async function sealRecord(
  record: DeployRecord,
  secrets: ReadonlyMap<string, Secret>,
  recipients: readonly string[],
): Promise<string | undefined> {
  if (secrets.size === 0 || recipients.length === 0) return undefined;
  const sealed = { version: 1, record, mac: macOf(record, secrets) };
  return armored(await sealForAll(recipients, Buffer.from(canonicalJson(sealed))));
}

/** What `sealRecord` sealed, once it is decrypted. A Fail where it is not of somebody who has the same secrets. */
export function openRecord(opened: Uint8Array, secrets: ReadonlyMap<string, Secret>): DeployRecord {
  const sealed = Sealed.safeParse(parsedJson(Buffer.from(opened).toString("utf8")));
  const record = DeployRecord.safeParse(sealed.data?.record);
  if (!sealed.success || !record.success) throw otherForm();
  const mac = Buffer.from(macOf(sealed.data.record, secrets), "hex");
  if (!timingSafeEqual(mac, Buffer.from(sealed.data.mac, "hex")))
    throw new Fail("the base's record was not made with this definition's secrets", {
      hint: "take the definition as it was deployed; if it is that, another machine answers",
    });
  return record.data;
}

/** The same, not sealed: of a base that is known by its host key. */
export function readRecord(text: string): DeployRecord {
  const record = DeployRecord.safeParse(parsedJson(text));
  if (!record.success) throw otherForm();
  return record.data;
}

function otherForm(): Fail {
  return new Fail("the base's record of the deploy is of another form", {
    hint: "go on with the version of imgbuild that began the deploy",
  });
}

/** `hostkey:…` and the like are not the definition's. */
function macOf(record: unknown, secrets: ReadonlyMap<string, Secret>): string {
  const key = createHash("sha256").update("imgbuild record of a deploy\0");
  const named = [...secrets].filter(([name]) => !name.includes(":"));
  for (const [name, secret] of named.sort(([left], [right]) => (left < right ? -1 : 1))) {
    const bytes = secret.expose();
    key.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return createHmac("sha256", key.digest()).update(canonicalJson(record)).digest("hex");
}
