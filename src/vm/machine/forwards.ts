import { Fail } from "../../util/fail.ts";
import { type NicShape, uplinksOf } from "./command.ts";

/** Ports of this computer that lead to the guest's. They are kept from one QEMU process to the next. */
interface Forwards {
  /** The port of 127.0.0.1 that leads to the guest's. */
  to(port: number): Promise<number>;
  /** Sets all of them up in a QEMU that has just started. */
  renew(): Promise<void>;
}

export function makeForwards(
  name: string,
  nics: readonly NicShape[],
  monitor: (command: string) => Promise<string>,
): Forwards {
  const known = new Map<number, number>();
  /** `own`: the port of this computer that it had before, and keeps. */
  const add = async (port: number, own = 0): Promise<number> => {
    const by = forwardsBy(nics);
    if (by === undefined) throw new Fail(`${name} has no card on the internet, so no port can be forwarded`);
    const said = await monitor(`hostfwd_add ${by.netdev} tcp:127.0.0.1:${own}-${by.guest}:${port}`);
    if (said !== "") throw new Fail(`${name}: hostfwd_add: ${said}`);
    const table = await monitor(`info usernet`);
    const line = table.match(
      new RegExp(`TCP\\[HOST_FORWARD\\]\\s+\\d+\\s+127\\.0\\.0\\.1\\s+(\\d+)\\s+\\S+\\s+${port}\\s`),
    );
    if (line === null) throw new Fail(`QEMU does not forward port ${port}:\n${table}`);
    known.set(port, Number(line[1]));
    return Number(line[1]);
  };
  return {
    to: async (port) => known.get(port) ?? (await add(port)),
    renew: async () => {
      const wanted = [...known];
      known.clear();
      for (const [port, own] of wanted) await add(port, own);
    },
  };
}

/** Which back of a card knows its forwards, and what of the guest they lead to; the first card that has a way out. */
export function forwardsBy(
  nics: readonly NicShape[],
): { readonly netdev: string; readonly guest: string } | undefined {
  const uplinks = uplinksOf(nics);
  for (const [index, { kind, segments = [] }] of nics.entries()) {
    if (kind !== "user") continue;
    const uplink = uplinks.findIndex(({ nic }) => nic === index);
    const [first = {}] = segments;
    return { netdev: uplink === -1 ? `net${index}` : `uplink${uplink}`, guest: first.guest ?? "" };
  }
  return undefined;
}
