import { markPath } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { ConnectOptions, DeployInputs, DeployState, DeployWorld } from "./state.ts";

const connectMs = 20_000;
const smallMs = 30_000;

/** A system that answers in place of the base; the caller closes `host`. */
interface Answering {
  readonly host: Host;
  /** The boot that was to be left; the old system in another boot; or the one that this deploy made. */
  readonly which: "old, never left" | "old" | "new";
}

/**
 * Which system of a machine answers, told by host key, boot and this deploy's mark: the new system may have the old one's keys, and a
 * connection may be lost for so long that the whole build is missed. A Fail when none does.
 */
export async function whoAnswers(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<Answering> {
  const { facts } = state;
  if (facts === undefined) throw new Error("who answers before inspect");
  const ways: ConnectOptions[] = facts.hostKeys.length === 0 ? [] : [{ pins: facts.hostKeys }];
  // Its users and keys may be others; before GO there is none.
  if (state.went === true) ways.push(newSystem(inputs, state));
  let last: unknown = new Fail("no host key of the old system is known");
  for (const how of ways) {
    let host: Host | undefined;
    try {
      host = await world.connect({ timeoutMs: connectMs, ...how });
      const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
      if (mark.stdout.includes(state.deploy?.nonce ?? "-")) return { host, which: "new" };
      const boot = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: smallMs });
      if (how.pins === facts.hostKeys)
        return { host, which: boot.stdout.trim() === facts.bootId ? "old, never left" : "old" };
      throw new Fail("what answers has the new system's host key, and no mark of this deploy");
    } catch (error) {
      host?.close();
      if (!(error instanceof Fail)) throw error;
      last = error;
    }
  }
  throw last;
}

/** How the new system is to be reached, and by which host keys it is known. */
export function newSystem({ spec }: DeployInputs, state: DeployState): ConnectOptions {
  const pins = spec.hostKeys === "keep" ? state.facts?.hostKeys : state.newHostKeys;
  return {
    ...(pins === undefined ? {} : { pins }),
    ...(state.loginUser === undefined ? {} : { user: state.loginUser }),
  };
}
