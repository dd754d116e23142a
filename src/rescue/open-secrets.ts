import { openBytes } from "../secrets/open.ts";
import { readKeptIdentity } from "../steps/tree/kept-identity.ts";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import type { Consoles } from "./consoles.ts";
import type { OpenMedium } from "./open-medium.ts";

/** A typing error is no reason to begin anew. */
const tries = 3;

/** Opened in memory only. */
export interface Opened {
  /** Host keys of before are among them, where a deploy kept them. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** By which the machine was known before, where a deploy kept it. */
  readonly machineId?: string | undefined;
}

/** Opens the secrets of the definition by a passphrase that is typed. */
export async function openSecrets(
  { sealed, identity, kept, spec }: Pick<OpenMedium, "sealed" | "identity" | "kept" | "spec">,
  consoles: Consoles,
): Promise<Opened> {
  const names = Object.keys(spec.secrets);
  if (names.length === 0 && (kept === undefined || identity === undefined)) return { secrets: new Map() };
  if (identity === undefined)
    throw new Fail("the medium has no identity that opens the secrets", {
      hint: "make it anew with your age identity at hand: imgbuild rescue DEF -o FILE",
    });
  const opened = await openIdentity(identity, consoles);
  try {
    const identities = [Buffer.from(opened.expose()).toString("utf8")];
    const secrets = new Map<string, Secret>();
    for (const name of names) {
      const bytes = sealed.get(name);
      if (bytes === undefined) throw new Fail(`the medium does not have the secret ${name}`);
      // Some have a passphrase of their own.
      const passphrase = () => consoles.askSecret("passphrase", `Passphrase of the secret ${name}: `);
      secrets.set(name, await openBytes(bytes, `the secret ${name}`, { identities, passphrase, name }));
    }
    if (kept === undefined) return { secrets };
    const from = "the host keys on the medium";
    const text = await openBytes(kept, from, { identities, name: "host keys" });
    const { machineId, hostKeys } = readKeptIdentity(text.expose(), from);
    return { secrets: new Map([...secrets, ...hostKeys]), machineId };
  } finally {
    opened.wipe();
  }
}

async function openIdentity(bytes: Uint8Array, consoles: Consoles): Promise<Secret> {
  for (let left = tries; ; left -= 1) {
    const passphrase = () => consoles.askSecret("passphrase", "Passphrase of the medium (it is not shown): ");
    try {
      return await openBytes(bytes, "the identity on the medium", {
        identities: [],
        passphrase,
        name: "identity",
      });
    } catch (error) {
      if (!(error instanceof Fail) || left === 1) throw error;
      consoles.print(`${error.message}; ${left - 1} more ${left === 2 ? "try" : "tries"}`);
    }
  }
}
