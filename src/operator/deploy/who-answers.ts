import { markPath } from "../../steps/tree/finish-tree.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { KnownDeploy, NewSystem } from "../records/known-deploys.ts";
import type { Shipped } from "./results.ts";
import type { ConnectOptions, DeployWorld } from "./world.ts";

const connectMs = 20_000;
const smallMs = 30_000;

/** The old system in the boot that it was to leave, or in another one; or the system that the deploy made. */
export type System = "old, never left" | "old" | "new";

/** A way to a machine, by host keys that one of its systems has. */
interface Way {
  readonly to: "old" | "new";
  readonly how: ConnectOptions;
}

/** Which system answers in place of a deploy's base; before GO there is no new one. A Fail where none does. The caller closes `host`. */
export async function whoAnswers(
  { facts, newSystem }: Pick<Shipped, "facts" | "newSystem">,
  world: Pick<DeployWorld, "connect">,
  went: boolean,
): Promise<{ readonly host: Host; readonly which: System }> {
  const old: Way[] = facts.hostKeys.length === 0 ? [] : [{ to: "old", how: { pins: facts.hostKeys } }];
  const ways: Way[] = went ? [...old, { to: "new", how: waysTo(newSystem) }] : old;
  return await askSystem(ways, { nonce: newSystem.nonce, oldBootId: facts.bootId }, world);
}

/**
 * Asks by each way until a system answers. It is known by host key, boot and the deploy's mark: the new system may have the old one's
 * keys, and a connection may be lost for so long that the whole build is missed. Where none answers, the first way's error is thrown.
 */
export async function askSystem(
  ways: readonly Way[],
  { nonce, oldBootId }: { readonly nonce: string; readonly oldBootId: string },
  { connect }: Pick<DeployWorld, "connect">,
): Promise<{ readonly host: Host; readonly which: System }> {
  let first: Fail | undefined;
  for (const { to, how } of ways) {
    let host: Host | undefined;
    try {
      host = await connect({ timeoutMs: connectMs, ...how });
      const mark = await host.exec(["cat", markPath], { timeoutMs: smallMs, accept: [0, 1] });
      if (mark.stdout.includes(nonce)) return { host, which: "new" };
      const boot = await host.exec(["cat", "/proc/sys/kernel/random/boot_id"], { timeoutMs: smallMs });
      if (to === "old") return { host, which: boot.stdout.trim() === oldBootId ? "old, never left" : "old" };
      throw new Fail("what answers has the new system's host key, and no mark of this deploy");
    } catch (error) {
      host?.close();
      if (!(error instanceof Fail)) throw error;
      first ??= error;
    }
  }
  throw first ?? new Fail("no host key of the old system is known");
}

/** How a new system is reached. */
export function waysTo({ pins, user }: NewSystem): ConnectOptions {
  return { ...(pins === undefined ? {} : { pins }), ...(user === undefined ? {} : { user }) };
}

/** The system that a host runs: by the host keys of its last deploy from here, else by those of known_hosts. */
export async function runningSystem(
  known: KnownDeploy | undefined,
  { connect }: Pick<DeployWorld, "connect">,
): Promise<Host> {
  const usual = () => connect({ timeoutMs: connectMs });
  if (known === undefined) return await usual();
  return await connect({ timeoutMs: connectMs, ...waysTo(known.newSystem) }).catch((error: unknown) => {
    if (error instanceof Fail) return usual();
    throw error;
  });
}
