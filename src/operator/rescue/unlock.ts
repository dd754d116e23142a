import { readFile } from "node:fs/promises";
import { type MediumUnlock, mediumContent } from "../../schema/base/medium.ts";
import { newIdentity } from "../../secrets/identity.ts";
import { sealFor } from "../../secrets/seal.ts";
import { sealForTang } from "../../secrets/tang.ts";
import { sealForTpm, storageKeyOf, valueOfRegister7 } from "../../secrets/tpm2.ts";
import { exchangeKey, fetchAdvertisement } from "../../system/health/tang.ts";
import { canonicalJson } from "../../util/digest.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Definition } from "../definition/load.ts";
import { revealSecrets, type SecretKeys, showSecret } from "../secrets/secrets.ts";
import type { TpmOf } from "./host-tpm.ts";
import { keptIdentityFile } from "./kept-identity.ts";
import { withIdentitySecrets } from "./sealed-identity.ts";
import type { UnlockOption } from "./unlock-option.ts";

/** Seals an identity for what opens it with nothing typed. */
type Seal = (plain: Uint8Array) => MediumUnlock;

interface Outside {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly tpmOf: TpmOf;
}

/** Asks each for its keys, before anything long begins. */
export async function unlockSeals(options: readonly UnlockOption[], outside: Outside): Promise<Seal[]> {
  const seals: Seal[] = [];
  for (const option of options)
    seals.push(option.type === "tang" ? await tangSeal(option, outside) : await tpmSeal(option, outside));
  return seals;
}

async function tangSeal(
  option: Extract<UnlockOption, { type: "tang" }>,
  { log, signal }: Outside,
): Promise<Seal> {
  const { url, thumbprint, adv } = option;
  const said =
    adv === undefined
      ? await log.task(`asking the tang server ${url}`, () => fetchAdvertisement(option, signal))
      : await readAdvertisement(adv);
  const keys = { url, ...exchangeKey(said, thumbprint) };
  return (plain) => ({ type: "tang", url, sealed: sealForTang(keys, plain) });
}

async function tpmSeal(
  { host, register7 }: Extract<UnlockOption, { type: "tpm2" }>,
  { log, tpmOf }: Outside,
): Promise<Seal> {
  const { key, value } = await log.task(`asking the TPM of ${host}`, () =>
    tpmOf(host, async (send) => ({
      key: await storageKeyOf(send),
      value: register7 ? await valueOfRegister7(send) : undefined,
    })),
  );
  return (plain) => ({ type: "tpm2", host, sealed: sealForTpm(key, plain, value) });
}

/**
 * Files of a medium: an identity that is made for it alone, sealed by each, and the secrets again for that identity. So what opens
 * the medium opens nothing else.
 */
export async function unlockFiles(
  definition: Definition,
  seals: readonly Seal[],
  keys: SecretKeys,
  log: Log,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const { hostname, secrets } = definition.spec;
  const kept = keptIdentityFile(definition);
  if (seals.length === 0 || (Object.keys(secrets).length === 0 && kept === undefined)) return files;
  const { identity, recipient } = await newIdentity();
  const put = async (path: string, plain: Uint8Array) =>
    void files.set(`${mediumContent.unlocked}${path}`, await sealFor(recipient, plain));
  const wanting = await withIdentitySecrets(definition);
  for (const name of Object.keys(secrets).filter((one) => !(one in wanting.spec.secrets)))
    log.warn(`${hostname}: the secret ${name} has a passphrase of its own, which is asked for all the same`);
  for (const [name, secret] of await revealSecrets(wanting, keys)) {
    await put(`${mediumContent.secrets}${name}.age`, secret.expose());
    secret.wipe();
  }
  if (kept !== undefined) {
    const opened = await showSecret(kept, keys);
    await put(mediumContent.hostKeys, opened.expose());
    opened.wipe();
  }
  const ways = seals.map((seal) => seal(Buffer.from(identity)));
  return files.set(mediumContent.unlock, Buffer.from(canonicalJson(ways)));
}

async function readAdvertisement(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    throw new Fail(`--unlock: ${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint: "write it where the server is reached: curl URL/adv > FILE",
    });
  });
}
