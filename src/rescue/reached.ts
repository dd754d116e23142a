import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../system/run/run.ts";

/** A DHCP server may be slow; what comes later is not shown, and works all the same. */
const addressMs = 20_000;
const keygenMs = 10_000;

/** Where the machine is reached over SSH, and the fingerprint by which to know it there. */
export interface Reached {
  readonly address: string;
  readonly hostKey: string;
}

/** Undefined where no card has an address within some time. */
export async function reachedAt(directory: string): Promise<Reached | undefined> {
  const until = Date.now() + addressMs;
  let found = addresses();
  while (found.length === 0 && Date.now() < until) {
    await sleep(500);
    found = addresses();
  }
  const [address] = found;
  if (address === undefined) return undefined;
  const { stdout } = await run(["ssh-keygen", "-l", "-f", join(directory, "ssh/host_key.pub")], {
    ...{ timeoutMs: keygenMs, accept: "any" },
  });
  const [, hostKey = "unknown"] = stdout.split(" ");
  return { address, hostKey };
}

/** For who would rather sit at another desk. */
export function reachedLines(reached: Reached | undefined): string[] {
  if (reached === undefined) return ["network   no address yet"];
  const { address, hostKey } = reached;
  return [`over SSH  ssh -t root@${address} imgbuild-rescue`, `          host key ${hostKey}`];
}

function addresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
}
