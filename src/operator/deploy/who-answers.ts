import { markPath } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { NewSystem } from "../records/known-deploys.ts";
import type { Shipped } from "./results.ts";
import type { ConnectOptions, DeployWorld } from "./world.ts";

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
 * connection may be lost for so long that the whole build is missed. A Fail when none does. Before GO there is no new system.
 */
export async function whoAnswers(
  { facts, newSystem }: Pick<Shipped, "facts" | "newSystem">,
  { connect }: Pick<DeployWorld, "connect">,
  went: boolean,
): Promise<Answering> {
  const ways = [
    ...(facts.hostKeys.length === 0 ? [] : [{ isOld: true, how: { pins: facts.hostKeys } }]),
    // Its users and keys may be others.
    ...(went ? [{ isOld: false, how: waysTo(newSystem) }] : []),
  ];
  let last: unknown = new Fail("no host key of the old system is known");
  for (const { isOld, how } of ways) {
    let host: Host | undefined;
    try {
      host = await connect({ timeoutMs: connectMs, ...how });
      const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
      if (mark.stdout.includes(newSystem.nonce)) return { host, which: "new" };
      const boot = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: smallMs });
      if (isOld) return { host, which: boot.stdout.trim() === facts.bootId ? "old, never left" : "old" };
      throw new Fail("what answers has the new system's host key, and no mark of this deploy");
    } catch (error) {
      host?.close();
      if (!(error instanceof Fail)) throw error;
      last = error;
    }
  }
  throw last;
}

/** How a new system is reached. */
export function waysTo({ pins, user }: NewSystem): ConnectOptions {
  return { ...(pins === undefined ? {} : { pins }), ...(user === undefined ? {} : { user }) };
}
