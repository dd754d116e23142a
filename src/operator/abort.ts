import { markPath } from "../steps/finish-tree.ts";
import type { Host } from "../transport/host.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { DeployWorld } from "./deploy-run.ts";
import type { KnownDeploy } from "./known-bases.ts";
import { waitFor } from "./prove.ts";
import type { RunnerLink } from "./runner-link.ts";

const connectMs = 20_000;
const smallMs = 30_000;

type World = Pick<DeployWorld, "connect" | "log" | "now" | "signal">;

/** Sends a host back to its old system, and waits until that answers; a Fail says what is known where it does not. */
export async function abortDeploy(link: RunnerLink, known: KnownDeploy, world: World): Promise<void> {
  const { host, newSystem } = known;
  const returning = await link.abort();
  link.close();
  if (returning) world.log.info("the base restarts into the old system");
  else world.log.warn("the base did not answer; looking for the old system");
  let which: Awaited<ReturnType<typeof whoIsBack>>;
  try {
    which = await waitFor(newSystem.bootMs, world, "the old system", () => whoIsBack(known, world));
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
    throw new Fail("the new system answers: the deploy went on to its end", { hint: "log in and look" });
}

/** Which system answers that known_hosts knows, which the base is not: the new one has the deploy's mark. A Fail where none does. */
export async function whoIsBack(
  known: Pick<KnownDeploy, "nonce" | "machine">,
  { connect }: Pick<World, "connect">,
): Promise<"old" | "new"> {
  let host: Host | undefined;
  try {
    host = await connect({ timeoutMs: connectMs });
    const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
    if (mark.stdout.includes(known.nonce)) return "new";
    const boot = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: smallMs });
    if (boot.stdout.trim() === known.machine.bootId)
      throw new Fail("the old system answers, in the boot that it was to leave");
    return "old";
  } finally {
    host?.close();
  }
}
