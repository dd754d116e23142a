import type { Env } from "../../system/files/cache.ts";
import { Fail } from "../../util/fail.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { knownDeploy } from "../records/known-deploys.ts";

const connectMs = 20_000;

/**
 * Whether the base of an earlier deploy answers at a host that could not be logged in to: its host key is not the one in known_hosts, and
 * the advice to remove that key would lead to the wrong place.
 */
export async function earlierBase(
  env: Env,
  host: string,
  { connect }: Pick<DeployWorld, "connect">,
): Promise<boolean> {
  try {
    const { baseHostKey } = await knownDeploy(env, host);
    (await connect({ user: "root", pins: [baseHostKey], timeoutMs: connectMs })).close();
    return true;
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return false;
  }
}
