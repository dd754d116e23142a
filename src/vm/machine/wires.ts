import { httpBoot } from "../network/http-boot.ts";
import { ipv6Only } from "../network/ipv6-only.ts";
import { isHttpBoot, isWired } from "../network/segment.ts";
import { makeSwitch } from "../network/switch.ts";
import { type NicShape, uplinksOf } from "./command.ts";
import type { MachineNic } from "./machine-parts.ts";
import type { Qemu } from "./qemu.ts";

/** Plugs each card's cable in: into a network of the lab, or into a switch of its own that leads to its segments. */
export function plugIn(
  name: string,
  nics: readonly (MachineNic & { readonly mac: string })[],
  shapes: readonly NicShape[],
  qemu: Qemu,
): void {
  const uplinks = uplinksOf(shapes);
  for (const [index, { network, segments = [], mac }] of nics.entries()) {
    const socket = qemu.nics[index];
    if (socket === undefined) continue;
    if (network !== "internet") {
      network.plug(name, socket);
      continue;
    }
    if (!isWired(segments)) continue;
    const cable = makeSwitch(`${name}'s card ${index}`);
    cable.plug(name, socket);
    for (const [at, { segment, nic }] of uplinks.entries())
      if (nic === index)
        cable.plug("internet", qemu.uplinks[at]!, {
          vlan: segment.vlan ?? 0,
          ...(segment.guest6 === undefined ? {} : { between: ipv6Only(segment, mac) }),
          ...(isHttpBoot(segment) ? { between: httpBoot() } : {}),
        });
  }
}
