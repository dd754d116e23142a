import type { LinkFacts } from "../../schema/facts.ts";

/** Links that this one is made of, by name. */
export function lowersOf({ device }: Pick<LinkFacts, "device">): readonly string[] {
  if (device === undefined) return [];
  return device.kind === "vlan" ? [device.link] : device.members;
}

/** What stands against making a link again in another system: undefined for a card, and for a link whose lowest members are cards. */
export function whyNot(
  name: string,
  links: readonly LinkFacts[],
  above: readonly string[] = [],
): string | undefined {
  const link = links.find((other) => other.name === name);
  if (link === undefined) return "which was not seen";
  if (above.includes(name)) return "which is made of itself";
  const { kind, device, master } = link;
  const upper = links.find((other) => other.name === master);
  if (upper !== undefined && !["bond", "bridge"].includes(upper.kind ?? "card"))
    return `a part of ${upper.name}, ${upper.kind === undefined ? "another card" : `a ${upper.kind}`}`;
  if (kind === undefined) return undefined;
  if (device === undefined) return `a ${kind}`;
  const lower = (one: string) => whyNot(one, links, [...above, name]);
  // With one way out, and guests gone, nothing is left that it would keep apart.
  const isPlain = (members: readonly string[]) =>
    members.filter((one) => lower(one) === undefined).length < 2;
  if (device.kind === "bridge" && device.vlanFiltering && !(device.sameUntagged && isPlain(device.members)))
    return "a bridge that keeps VLANs apart";
  if (device.kind === "vlan") {
    const reason = lower(device.link);
    return reason === undefined ? undefined : `a VLAN on ${device.link}, ${reason}`;
  }
  if (device.members.some((one) => lower(one) === undefined)) return undefined;
  const [first] = device.members;
  return `a ${kind} of ${first === undefined ? "no card" : `${first}, ${lower(first)}`}`;
}
