import { resolve } from "node:path";
import type { TarEntry } from "../../archive/tar.ts";
import { requireParent } from "../../system/files/parent.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { Fail } from "../../util/fail.ts";
import type { HostRecord } from "../definition/host-records.ts";
import { deployWorld, type LoginOptions, type Outside } from "../deploy/inputs.ts";
import { openDefinition } from "../lock/open-definition.ts";
import { identityFiles, type RevealOptions, revealSecrets } from "../secrets/secrets.ts";
import { addedEntries, type Found, identityEntries, type Lock, packEscrow, wantedBy } from "./escrow.ts";
import { hostPart } from "./host-part.ts";
import { missingIn, places } from "./manifest.ts";
import { repositoryFiles } from "./repository-files.ts";

/** As the command line says it. */
export interface EscrowOptions extends RevealOptions, LoginOptions {
  readonly output: string;
  readonly page?: string;
  readonly add?: readonly string[];
}

/** Makes an escrow of a definition, and of its host where one is given; resolves with what it lacks. */
export async function makeEscrow(
  path: string,
  host: { readonly host: string; readonly record?: HostRecord } | undefined,
  options: EscrowOptions,
  outside: Outside & {
    /** Asked for when all else is there. */
    readonly lock: () => Promise<Lock>;
  },
): Promise<{ readonly missing: readonly string[]; readonly files: readonly string[] }> {
  for (const file of [options.output, options.page]) if (file !== undefined) await requireParent(file);
  const definition = await openDefinition(path, { log: outside.log });
  const { spec } = definition;
  const { entries: repository, place, uncommitted } = await repositoryFiles(definition);
  if (uncommitted.length > 0)
    outside.log.warn(`not committed, and in the escrow as it is now: ${uncommitted.slice(0, 5).join(", ")}`);
  const wanted = wantedBy(spec);
  const lock = await outside.lock();
  const files = identityFiles(options, outside.env);
  const found: Found = {
    about: {
      ...{ hostname: spec.hostname, made: new Date().toISOString(), definition: definition.digest, place },
      ...(host === undefined ? {} : { host: host.host }),
      wanted,
    },
    entries: [
      ...repository,
      ...(await identityEntries(files, lock)),
      ...(await keyEntries(definition, wanted.keys, { ...options, files }, outside)),
      ...(host === undefined ? [] : await fromHost(host, options, outside)),
      ...(await addedEntries(options.add ?? [])),
    ],
  };
  await writeWhole(resolve(options.output), await packEscrow(found, lock), 0o600);
  if (options.page !== undefined) {
    const { escrowPage } = await import("./page.ts");
    await writeWhole(resolve(options.page), await escrowPage(found, lock), 0o600);
  }
  const names = found.entries.map(({ name }) => name);
  return { missing: missingIn(wanted, names), files: names };
}

/** Secrets that open disks or sign; those that cannot be opened are reported as missing. */
async function keyEntries(
  definition: Parameters<typeof revealSecrets>[0],
  names: readonly string[],
  { files, passphrase }: RevealOptions & { readonly files: readonly string[] },
  { askSecret, interactive, log }: Outside,
): Promise<TarEntry[]> {
  if (names.length === 0) return [];
  const ask = passphrase || interactive ? (of: string) => askSecret(`Passphrase of ${of}: `) : undefined;
  try {
    const keys = { identityFiles: files, ...(ask === undefined ? {} : { passphrase: ask }) };
    const secrets = await revealSecrets(definition, keys, names);
    return [...secrets].map(([name, secret]) => ({
      ...{ name: `${places.keys}${name}`, mode: 0o600 },
      content: Uint8Array.from(secret.expose()),
    }));
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    log.warn(`secrets that open disks are not in the escrow: ${error.message}`);
    return [];
  }
}

async function fromHost(
  { host, record }: { readonly host: string; readonly record?: HostRecord },
  options: EscrowOptions,
  outside: Outside,
): Promise<TarEntry[]> {
  const world = deployWorld(host, { ...options, record }, outside, async () => {});
  const old = await outside.log.task(`connecting to ${host}`, () => world.connect({}));
  try {
    const by = await old.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
    if (by === "impossible")
      throw new Fail(`the login to ${host} is not root, and neither sudo nor doas makes it so`, {
        hint: "log in as root, or allow sudo",
      });
    return await outside.log.task("reading keys, tables and headers", () =>
      hostPart(old, { root: by !== "none", signal: outside.signal }),
    );
  } finally {
    old.close();
  }
}
