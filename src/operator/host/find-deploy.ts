import { Fail } from "../../util/fail.ts";
import { definitionOf } from "../definition/host-records.ts";
import { loadDefinition } from "../definition/load.ts";
import type { Outside } from "../deploy/inputs.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { type KnownDeploy, knownDeploy } from "../records/known-deploys.ts";
import { identityFiles, openText, type RevealOptions, revealSecrets } from "../secrets/secrets.ts";
import { adoptDeploy, NoBase } from "./adopt.ts";

/** How a deploy that was started before is found, as the command line says it. */
export interface FindOptions extends RevealOptions {
  /** Its definition: the deploy was started from another computer, whose record the base has. */
  readonly definition?: string;
  /** Fingerprint of the base's host key: the same, without the definition's secrets. */
  readonly baseKey?: string;
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
  const { env, log } = outside;
  const isFromElsewhere = definition !== undefined || baseKey !== undefined;
  const known = isFromElsewhere ? new Fail("not looked for") : await knownDeploy(env, host).catch(asFail);
  if (!(known instanceof Fail)) return known;
  const path = definition ?? given.usual;
  if (path === undefined && baseKey === undefined) throw known;
  const open = async () => {
    const loaded = await loadDefinition(path!, { host: await definitionOf(path!, process.cwd()) });
    const keys = {
      identityFiles: identityFiles(given, env),
      ...(given.passphrase || outside.interactive
        ? { passphrase: (of: string) => outside.askSecret(`Passphrase of ${of}: `) }
        : {}),
    };
    const secrets = await revealSecrets(loaded, keys);
    return { secrets, decrypt: (text: string) => openText(text, "the base's record", keys) };
  };
  const found = await log.task("looking for the record of the deploy on the host", (inner) =>
    adoptDeploy({ baseKey, open: path === undefined ? undefined : open }, { ...world, log: inner }).catch(
      (error: unknown) => {
        throw error instanceof NoBase && !isFromElsewhere ? known : error;
      },
    ),
  );
  await world.record(found);
  return { host, ...found };
}

function asFail(error: unknown): Fail {
  if (error instanceof Fail) return error;
  throw error;
}
