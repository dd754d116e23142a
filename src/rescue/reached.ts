import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../system/run/run.ts";

/** A DHCP server may be slow; what comes later is not shown, and works all the same. */
const addressMs = 20_000;
const keygenMs = 10_000;

/** For who would rather sit at another desk: the address, and the key by which to know the machine there. */
export async function reachedAt(directory: string): Promise<string[]> {
  const until = Date.now() + addressMs;
  let found = addresses();
  while (found.length === 0 && Date.now() < until) {
    await sleep(500);
    found = addresses();
  }
  if (found.length === 0) return ["network   no address yet"];
  const { stdout } = await run(["ssh-keygen", "-l", "-f", join(directory, "ssh/host_key.pub")], {
    ...{ timeoutMs: keygenMs, accept: "any" },
  });
  const [, fingerprint = "unknown"] = stdout.split(" ");
  return [`over SSH  ssh -t root@${found[0]} imgbuild-rescue`, `          host key ${fingerprint}`];
}

function addresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
}
