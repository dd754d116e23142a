import { z } from "zod";
import type { MadeLink } from "../../../schema/facts.ts";

// `bridge -j vlan show`; other fields are passed over on purpose.
const BridgeVlans = z.array(
  z.looseObject({
    ifname: z.string(),
    vlans: z.array(z.looseObject({ vlan: z.int(), flags: z.array(z.string()).default([]) })).default([]),
  }),
);

/** By port, and by bridge, the VLAN that frames without a tag are given, and lose on their way out. */
export function untaggedVlans(printed: string): ReadonlyMap<string, number> {
  let value: unknown;
  try {
    value = JSON.parse(printed);
  } catch {
    // An old one prints text, and a host without VLANs nothing: it is not known.
    return new Map();
  }
  const ports = BridgeVlans.safeParse(value).data ?? [];
  return new Map(
    ports.flatMap(({ ifname, vlans }) => {
      const plain = vlans.filter(({ flags }) => flags.includes("Egress Untagged"));
      const [own] = plain;
      return plain.length === 1 && own?.flags.includes("PVID") ? [[ifname, own.vlan] as const] : [];
    }),
  );
}

/** Says it of a bridge where it is so; `guests` are ports that lead to none outside. */
export function withUntagged(
  name: string,
  device: MadeLink | undefined,
  vlans: ReadonlyMap<string, number>,
  isGuest: (port: string) => boolean,
): MadeLink | undefined {
  if (device?.kind !== "bridge" || !device.vlanFiltering) return device;
  const own = vlans.get(name);
  const outer = device.members.filter((port) => !isGuest(port));
  const isSame = own !== undefined && outer.every((port) => vlans.get(port) === own);
  return isSame ? { ...device, sameUntagged: true } : device;
}
