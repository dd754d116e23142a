import { isPassphraseFile, openBytes } from "../secrets/open.ts";
import { readKeptIdentity } from "../steps/tree/kept-identity.ts";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import type { Consoles } from "./consoles.ts";
import type { OpenMedium } from "./open-medium.ts";
import type { Reached } from "./reached.ts";
import type { SentIdentity } from "./sent-identity.ts";
import { unlock } from "./unlock.ts";

/** A typing error is no reason to begin anew. */
const tries = 3;

/** Opened in memory only. */
export interface Opened {
  /** Host keys of before are among them, where a deploy kept them. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** By which the machine was known before, where a deploy kept it. */
  readonly machineId?: string | undefined;
}

type Sealed = Pick<OpenMedium, "sealed" | "identity" | "kept" | "unlock" | "spec">;

/** Who is asked, and what else may open the secrets. */
interface Ways {
  readonly consoles: Consoles;
  readonly sent: SentIdentity;
  /** Where an identity can be sent to. */
  reached(): Promise<Reached | undefined>;
  /** What opens the medium with nothing typed. */
  readonly byItself?: typeof unlock;
}

/** Opens the secrets of the definition by the identity that was sent, by what needs nothing typed, or by a passphrase that is typed. */
export async function openSecrets(medium: Sealed, ways: Ways): Promise<Opened> {
  if (!hasSecrets(medium)) return { secrets: new Map() };
  const { consoles, sent } = ways;
  // Some have a passphrase of their own.
  const passphrase = (name: string) => consoles.askSecret("passphrase", `Passphrase of the secret ${name}: `);
  if (sent.text === undefined) {
    const unlocked = await openUnlocked(medium, ways, passphrase);
    if (unlocked !== undefined) return unlocked;
    const typed =
      medium.identity === undefined
        ? await waitForIdentity(medium, ways)
        : await typedIdentity(medium.identity, ways);
    if (typed === "none") return { secrets: new Map() };
    if (typed !== "sent")
      try {
        return await openAll(medium, typed, passphrase);
      } finally {
        typed.wipe();
      }
  }
  return await openAll(medium, sent.text!, passphrase);
}

/** Opens them with nothing typed at all; fails where that does not open each. */
export async function openAlone(medium: Sealed, ways: Pick<Ways, "consoles" | "byItself">): Promise<Opened> {
  const opened = await openUnlocked(medium, ways, undefined);
  if (Object.keys(medium.spec.secrets).some((name) => !opened?.secrets.has(name)))
    throw new Fail("it does not begin: the definition has secrets, and somebody has to type the passphrase");
  return opened ?? { secrets: new Map() };
}

/** By the identity that was made for the medium; undefined where nothing opens that. */
async function openUnlocked(
  medium: Sealed,
  { consoles, byItself = unlock }: Pick<Ways, "consoles" | "byItself">,
  passphrase: Parameters<typeof openAll>[2],
): Promise<Opened | undefined> {
  if (medium.unlock === undefined) return undefined;
  const { ways, sealed, kept } = medium.unlock;
  const identity = await byItself(ways, consoles);
  if (identity === undefined) return undefined;
  try {
    const own = { ...medium, sealed: new Map([...medium.sealed, ...sealed]), kept };
    return await openAll(own, identity, passphrase);
  } finally {
    identity.wipe();
  }
}

/** Fails unless an identity opens all that is sealed for one. */
export async function tryIdentity(medium: Sealed, identity: Secret): Promise<void> {
  if (!hasSecrets(medium)) throw new Fail("the medium has no secrets to open");
  if (isPassphraseFile(identity.expose()) || /^-----BEGIN AGE/.test(textOf(identity)))
    throw new Fail("the identity is encrypted with a passphrase", {
      hint: "`imgbuild secrets send` asks for it on your computer, and sends what it opens",
    });
  const { secrets } = await openAll(medium, identity, undefined);
  for (const secret of secrets.values()) secret.wipe();
}

function hasSecrets({ spec, kept }: Sealed): boolean {
  return Object.keys(spec.secrets).length > 0 || kept !== undefined;
}

/** Without `passphrase`, secrets that have one of their own stay closed. */
async function openAll(
  { sealed, kept, spec }: Pick<Sealed, "sealed" | "kept" | "spec">,
  identity: Secret,
  passphrase: ((name: string) => Promise<Secret>) | undefined,
): Promise<Opened> {
  const identities = [textOf(identity)];
  const secrets = new Map<string, Secret>();
  for (const name of Object.keys(spec.secrets)) {
    const bytes = sealed.get(name);
    if (bytes === undefined) throw new Fail(`the medium does not have the secret ${name}`);
    if (passphrase === undefined && isPassphraseFile(bytes)) continue;
    const how = { identities, name, ...(passphrase && { passphrase: () => passphrase(name) }) };
    secrets.set(name, await openBytes(bytes, `the secret ${name}`, how));
  }
  if (kept === undefined) return { secrets };
  const from = "the host keys on the medium";
  const text = await openBytes(kept, from, { identities, name: "host keys" });
  const { machineId, hostKeys } = readKeptIdentity(text.expose(), from);
  return { secrets: new Map([...secrets, ...hostKeys]), machineId };
}

function textOf(identity: Secret): string {
  return Buffer.from(identity.expose()).toString("utf8");
}

/** By the passphrase of the medium, unless an identity is sent meanwhile. */
async function typedIdentity(bytes: Uint8Array, { consoles, sent }: Ways): Promise<Secret | "sent"> {
  for (let left = tries; ; left -= 1) {
    const question = "Passphrase of the medium (it is not shown): ";
    const typed = await consoles.askSecretUntil("passphrase", question, sent.next());
    if (typed === undefined) return "sent";
    try {
      return await openBytes(bytes, "the identity on the medium", {
        identities: [],
        passphrase: async () => typed,
        name: "identity",
      });
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      if (left === 1)
        throw new Fail(error.message, {
          cause: error,
          hint: "nothing was written; for three more tries type 1 again. The keys are those of an American keyboard",
        });
      consoles.print(`${error.message}; ${left - 1} more ${left === 2 ? "try" : "tries"}`);
    }
  }
}

async function waitForIdentity(
  { spec }: Sealed,
  { consoles, sent, reached }: Ways,
): Promise<"sent" | "none"> {
  const at = await reached();
  consoles.print("The medium has no identity that opens the secrets. Send yours from your computer:");
  consoles.print(
    at === undefined
      ? "  the machine has no address yet"
      : `  imgbuild secrets send root@${at.address} --base-key ${at.hostKey}`,
  );
  const needed = Object.keys(spec.secrets).length > 0;
  const question = `Waiting; Enter ${needed ? "leads back to the menu" : "goes on with new host keys"}. `;
  if ((await consoles.askUntil(question, sent.next())) === undefined) return "sent";
  if (!needed) return "none";
  throw new Fail("no identity was sent; nothing was written");
}
