import { markPath } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import type { RunnerLink } from "../runner-link/runner-link.ts";
import { waitFor } from "./prove.ts";
import type { ConnectOptions, DeployWorld } from "./state.ts";

const connectMs = 20_000;
const smallMs = 30_000;

type World = Pick<DeployWorld, "connect" | "log" | "now" | "signal">;
/** The system that was taken over, in another boot or in the one that it was to leave; or the one that the deploy made. */
export type WhoIsBack = "old" | "old, never left" | "new";

/** Sends a host back to its old system, and waits until that answers; a Fail says what is known where it does not. */
export async function abortDeploy(link: RunnerLink, known: KnownDeploy, world: World): Promise<void> {
  const { host } = known;
  const returning = await link.abort();
  link.close();
  if (returning) world.log.info("the base restarts into the old system");
  else world.log.warn("the base did not answer; looking for the old system");
  let which: WhoIsBack;
  try {
    which = await waitForReturn(known, world);
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    const what = returning
      ? "the base has restarted, but"
      : "it is not known whether the base took the abort:";
    throw new Fail(`${what} ${messageOf(error)}`, {
      cause: error,
      hint: `look at the machine's console; \`imgbuild follow ${host}\` says whether the base still runs, and \`imgbuild abort ${host}\` asks it again`,
    });
  }
  if (which === "new")
    throw new Fail("the new system answers: the deploy went on to its end", {
      hint: `\`imgbuild follow ${host}\` has it prove itself`,
    });
}

/** Waits until a system answers in place of the base. */
export async function waitForReturn(known: KnownDeploy, world: World): Promise<WhoIsBack> {
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
  { connect }: Pick<World, "connect">,
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
    const { pins, user } = newSystem;
    const isNew = await ask({
      ...(pins === undefined ? {} : { pins }),
      ...(user === undefined ? {} : { user }),
    }).catch(() => undefined);
    if (isNew === "new") return isNew;
    throw error;
  }
}
