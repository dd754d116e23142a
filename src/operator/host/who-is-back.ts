import { Fail } from "../../util/fail.ts";
import { waitFor } from "../deploy/prove.ts";
import { askSystem, type System, waysTo } from "../deploy/who-answers.ts";
import type { DeployWorld } from "../deploy/world.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";

/** Waits until a system answers in place of the base. */
export async function waitForReturn(
  known: KnownDeploy,
  world: Pick<DeployWorld, "connect" | "now" | "signal">,
): Promise<System> {
  return await waitFor(
    known.newSystem.bootMs,
    world,
    "the old system",
    async () => {
      const which = await whoIsBack(known, world);
      if (which === "old, never left")
        throw new Fail("the old system answers, in the boot that it was to leave");
      return which;
    },
    () => {},
  );
}

/** Which system of a host answers in place of the base: the old one by known_hosts, the new one by its own host keys and users as well. */
export async function whoIsBack(
  { nonce, machine, newSystem }: Pick<KnownDeploy, "nonce" | "machine" | "newSystem">,
  world: Pick<DeployWorld, "connect">,
): Promise<System> {
  const ways = [{ to: "old", how: {} } as const, { to: "new", how: waysTo(newSystem) } as const];
  const { host, which } = await askSystem(ways, { nonce, oldBootId: machine.bootId }, world);
  host.close();
  return which;
}
