import { Fail } from "../../util/fail.ts";
import { definitionOf } from "../definition/host-records.ts";
import { loadDefinition } from "../definition/load.ts";
import type { Outside } from "../deploy/inputs.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { type KnownDeploy, knownDeploy } from "../records/known-deploys.ts";
import { openText, type RevealOptions, revealSecrets, secretKeys } from "../secrets/secrets.ts";
import { adoptDeploy, NoBase } from "./adopt.ts";

/** How a deploy that was started before is found, as the command line says it. */
export interface FindOptions extends RevealOptions {
  /** Its definition: the deploy was started from another computer, whose record the base has. */
  readonly definition?: string;
  /** Fingerprint of the base's host key: the same, without the definition's secrets. */
  readonly baseKey?: string | undefined;
}

/**
 * What is noted of a deploy of a host: here, or by the base itself, where it was started from another computer. `usual` is the definition
 * to open the base's record with where nothing is noted here.
 */
export async function findDeploy(
  host: string,
  { definition, baseKey, ...given }: FindOptions & { readonly usual?: string | undefined },
  world: DeployWorld,
  outside: Outside,
): Promise<KnownDeploy> {
  if (definition !== undefined || baseKey !== undefined)
    return await adopted(host, definition, { ...given, baseKey }, world, outside);
  try {
    return await knownDeploy(outside.env, host);
  } catch (known) {
    if (!(known instanceof Fail) || given.usual === undefined) throw known;
    return await adopted(host, given.usual, given, world, outside).catch((error: unknown) => {
      throw error instanceof NoBase ? known : error;
    });
  }
}

/** By the record that the base has; noted here from now on. */
async function adopted(
  host: string,
  definition: string | undefined,
  { baseKey, ...how }: Omit<FindOptions, "definition">,
  world: DeployWorld,
  outside: Outside,
): Promise<KnownDeploy> {
  const keys = secretKeys(how, outside);
  const open = async (path: string) => ({
    secrets: await revealSecrets(
      await loadDefinition(path, { host: await definitionOf(path, process.cwd()) }),
      keys,
    ),
    decrypt: (text: string) => openText(text, "the base's record", keys),
  });
  const found = await world.log.task("looking for the record of the deploy on the host", (log) =>
    adoptDeploy(
      { baseKey, open: definition === undefined ? undefined : () => open(definition) },
      { ...world, log },
    ),
  );
  await world.record(found);
  return { host, ...found };
}
