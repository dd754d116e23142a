import { markPath } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import { waitFor } from "../deploy/prove.ts";
import { waysTo } from "../deploy/who-answers.ts";
import type { ConnectOptions, DeployWorld } from "../deploy/world.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";

const connectMs = 20_000;
const smallMs = 30_000;

/** The system that was taken over, in another boot or in the one that it was to leave; or the one that the deploy made. */
export type WhoIsBack = "old" | "old, never left" | "new";

/** Waits until a system answers in place of the base. */
export async function waitForReturn(
  known: KnownDeploy,
  world: Pick<DeployWorld, "connect" | "now" | "signal">,
): Promise<WhoIsBack> {
  return await waitFor(known.newSystem.bootMs, world, "the old system", async () => {
    const which = await whoIsBack(known, world);
    if (which === "old, never left")
      throw new Fail("the old system answers, in the boot that it was to leave");
    return which;
  });
}

/**
 * Which system of a host answers in place of the base. The old one is known by known_hosts; the new one has the deploy's mark, and may
 * have other host keys and users. A Fail where none does.
 */
export async function whoIsBack(
  { nonce, machine, newSystem }: Pick<KnownDeploy, "nonce" | "machine" | "newSystem">,
  { connect }: Pick<DeployWorld, "connect">,
): Promise<WhoIsBack> {
  const ask = async (how: ConnectOptions): Promise<WhoIsBack> => {
    let host: Host | undefined;
    try {
      host = await connect({ timeoutMs: connectMs, ...how });
      const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
      if (mark.stdout.includes(nonce)) return "new";
      const boot = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: smallMs });
      return boot.stdout.trim() === machine.bootId ? "old, never left" : "old";
    } finally {
      host?.close();
    }
  };
  try {
    return await ask({});
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const isNew = await ask(waysTo(newSystem)).catch(() => undefined);
    if (isNew === "new") return isNew;
    throw error;
  }
}
