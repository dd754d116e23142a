import { recordFiles } from "../../schema/base/deploy.ts";
import type { Host } from "../../transport/host.ts";
import { OtherHostKey } from "../../transport/host-key.ts";
import { fingerprintOf } from "../../transport/known-hosts.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { type DeployRecord, openRecord, readRecord } from "../records/sealed-record.ts";

const connectMs = 30_000;
const readMs = 30_000;
/** No host key has it. */
const noKey = "SHA256:none";

/** By what the base of a deploy that was started from another computer is known. */
interface Adoption {
  /** The fingerprint of its host key, as the deploy and the base's console show it. */
  readonly baseKey?: string | undefined;
  /** Opens the definition's secrets, and with the same keys the record. */
  readonly open?:
    | (() => Promise<{
        readonly secrets: ReadonlyMap<string, Secret>;
        readonly decrypt: (text: string) => Promise<Secret>;
      }>)
    | undefined;
}

/**
 * The record of a deploy that was started from another computer, from its base. The base is known by the fingerprint, or by its record
 * being made with the definition's secrets and naming the very host key that answered: whoever is in between has another. Until then
 * nothing is sent to it but a login by public key, which is of no use to anybody else.
 */
export async function adoptDeploy(
  { baseKey, open }: Adoption,
  world: Pick<DeployWorld, "connect" | "log">,
): Promise<DeployRecord> {
  const pin = baseKey ?? (await presentedKey(world));
  const base = await world.connect({ user: "root", pins: [pin], timeoutMs: connectMs });
  try {
    const record = baseKey === undefined ? await sealedRecord(base, open) : await plainRecord(base);
    if (fingerprintOf(record.baseHostKey) !== pin)
      throw new Fail(`the base of the deploy has another host key than what answers, ${pin}`, {
        hint: "somebody may be between you and the machine; compare with its console",
      });
    world.log.info(`the base is that of the deploy begun at ${record.started}`);
    return record;
  } finally {
    base.close();
  }
}

async function presentedKey(world: Pick<DeployWorld, "connect">): Promise<string> {
  try {
    (await world.connect({ user: "root", pins: [noKey], timeoutMs: connectMs })).close();
  } catch (error) {
    if (error instanceof OtherHostKey) return error.presented;
    throw error;
  }
  throw new Error("a host key was taken that no host has");
}

async function sealedRecord(base: Host, open: Adoption["open"]): Promise<DeployRecord> {
  const text = await read(base, recordFiles.sealed);
  if (text === undefined) {
    if ((await read(base, recordFiles.plain)) === undefined) throw new NoBase();
    throw new Fail("the base holds no record for others: the definition has no secrets with recipients", {
      hint: "give the base's host key by --base-key SHA256:…, as the deploy showed it",
    });
  }
  if (open === undefined)
    throw new Fail("the base's record can be opened with the definition's secrets only", {
      hint: "name the definition by --definition DEF, or the host as hosts.yaml does",
    });
  const { secrets, decrypt } = await open();
  return openRecord((await decrypt(text)).expose(), secrets);
}

async function plainRecord(base: Host): Promise<DeployRecord> {
  const text = await read(base, recordFiles.plain);
  if (text === undefined) throw new NoBase();
  return readRecord(text);
}

/** What answers is no base. */
export class NoBase extends Fail {
  constructor() {
    super("what answers there is no base of a deploy", { hint: "look at the machine's console" });
  }
}

async function read(base: Host, name: string): Promise<string | undefined> {
  const argv = ["cat", `/run/imgbuild/${name}`];
  const { code, stdout } = await base.exec(argv, { timeoutMs: readMs, accept: [0, 1] });
  return code === 0 ? stdout : undefined;
}
