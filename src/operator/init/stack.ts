import type { LinkFacts, MadeLink } from "../../schema/facts.ts";
import { lowersOf, whyNot } from "../../system/machine/link-stack.ts";

/** An entry of `network`: a card, or a device that the function of that name declares. */
export interface StackEntry {
  readonly name: string;
  readonly makes?: {
    readonly by: "vlan" | "bond" | "bridge";
    readonly device: Readonly<Record<string, unknown>>;
  };
  /** Its other fields. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** As `bond` of a definition has it by itself. */
const usual = { monitorMs: "100", hashPolicy: "layer2" } as const;
const mostOfName = 15;
const usualMtu = 1500;

/**
 * The definition's entries for a link that is made of others, those first; undefined where a definition cannot say it. `own` is
 * what the link itself has.
 */
export function stackOf(
  top: LinkFacts,
  links: readonly LinkFacts[],
  own: Readonly<Record<string, unknown>>,
): readonly StackEntry[] | undefined {
  const entries: StackEntry[] = [];
  const names = new Map<string, string>();
  const add = (link: LinkFacts): boolean => {
    if (names.has(link.name)) return true;
    const lowers = lowersOf(link).filter((name) => whyNot(name, links) === undefined);
    const found = lowers.flatMap((name) => links.find((other) => other.name === name) ?? []);
    if (whyNot(link.name, links) !== undefined || !found.every(add)) return false;
    const name = entryName(link.name, [...names.values()]);
    names.set(link.name, name);
    const mtu = link.mtu === usualMtu ? {} : { mtu: link.mtu };
    const rest = link === top ? own : mtu;
    if (link.device === undefined) {
      entries.push({ name, rest: { match: { mac: link.mac.toLowerCase() }, ...rest } });
      return true;
    }
    const device = deviceOf(link.device, found, names);
    if (device === undefined) return false;
    // Left out, it is that of one of its links.
    const isOfOne = found.some((lower) => lower.mac.toLowerCase() === link.mac.toLowerCase());
    const mac = isOfOne ? {} : { mac: link.mac.toLowerCase() };
    entries.push({ name, makes: { by: link.device.kind, device }, rest: { ...rest, ...mac } });
    return true;
  };
  return add(top) ? entries : undefined;
}

function deviceOf(
  device: MadeLink,
  lowers: readonly LinkFacts[],
  names: ReadonlyMap<string, string>,
): Readonly<Record<string, unknown>> | undefined {
  const links = lowers.map(({ name }) => names.get(name));
  switch (device.kind) {
    case "vlan":
      return device.protocol === undefined && device.id > 0 && device.id < 4095
        ? { id: device.id, link: links[0] }
        : undefined;
    case "bridge":
      return { links, ...(device.stp ? { stp: true } : {}) };
    case "bond": {
      const { mode, miimon, lacp_rate, xmit_hash_policy, primary } = device.options;
      // A definition looks at cables, and not by ARP.
      if (device.options.arp_interval !== undefined) return undefined;
      const first = names.get(primary ?? "");
      return {
        ...{ mode, links },
        ...(miimon === undefined || miimon === "0" || miimon === usual.monitorMs
          ? {}
          : { monitorMs: Number(miimon) }),
        ...(lacp_rate === "fast" ? { lacpRate: lacp_rate } : {}),
        ...(xmit_hash_policy === undefined || xmit_hash_policy === usual.hashPolicy
          ? {}
          : { hashPolicy: xmit_hash_policy }),
        ...(first === undefined ? {} : { primary: first }),
      };
    }
  }
}

/** "bond0.20" is no name of a definition. */
function entryName(name: string, taken: readonly string[]): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, "-")
    .replace(/^[^a-z]+/, "");
  const short = plain.slice(0, mostOfName) || "link";
  if (!taken.includes(short)) return short;
  for (let number = 2; ; number += 1) {
    const other = `${short.slice(0, mostOfName - 3)}-${number}`;
    if (!taken.includes(other)) return other;
  }
}
