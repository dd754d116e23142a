import { generateSigningKey, writePayload } from "../../archive/payload.ts";
import { formatLock } from "../../debian/lock/lock.ts";
import type { Machine, Order } from "../../schema/base/deploy.ts";
import type { Lock } from "../../schema/lock.ts";
import type { Plan } from "../../schema/plan.ts";
import { sealFor } from "../../secrets/seal.ts";
import { canonicalJson } from "../../util/digest.ts";
import type { Secret } from "../../util/secret.ts";
import type { DefinitionFiles } from "../definition/files.ts";

const lifeMs = 24 * 60 * 60 * 1000;

/** What a runner works through, signed by a key of this one run. */
export async function signedPayload(
  work: {
    readonly plan: Plan;
    readonly order: Order;
    readonly lock: Lock;
    readonly files: DefinitionFiles["files"];
    /** Packages that no mirror has, by their paths in the lock. */
    readonly debs: ReadonlyMap<string, Uint8Array>;
  },
  run: {
    readonly nonce: string;
    readonly machine: Machine;
    /** Milliseconds since the epoch; undefined: of any age, for any clock of the machine. */
    readonly now: number | undefined;
  },
): Promise<{ payload: Uint8Array; publicKey: string }> {
  const signing = generateSigningKey();
  const files = new Map<string, Uint8Array>([
    ["plan.json", Buffer.from(canonicalJson(work.plan))],
    ["order.json", Buffer.from(canonicalJson(work.order))],
    ["lock.yaml", Buffer.from(formatLock(work.lock))],
  ]);
  for (const [path, file] of work.files) files.set(`files${path}`, file.bytes);
  for (const [path, bytes] of work.debs) files.set(`debs/${path}`, bytes);
  const payload = await writePayload({
    created: new Date(run.now ?? 0),
    expires: run.now === undefined ? undefined : new Date(run.now + lifeMs),
    nonce: run.nonce,
    machine: run.machine,
    files,
    privateKey: signing.privateKey,
  });
  return { payload, publicKey: signing.publicKey };
}

/** Secrets as the runner of this boot alone can open them; base64. */
export async function sealSecrets(recipient: string, secrets: ReadonlyMap<string, Secret>): Promise<string> {
  const entries = [...secrets].map(([name, secret]) => [
    name,
    Buffer.from(secret.expose()).toString("base64"),
  ]);
  const sealed = await sealFor(recipient, Buffer.from(JSON.stringify(Object.fromEntries(entries))));
  return Buffer.from(sealed).toString("base64");
}
