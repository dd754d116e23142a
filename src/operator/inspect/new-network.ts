import { isIPv6 } from "node:net";
import type { Facts, LinkFacts } from "../../schema/facts.ts";
import type { Network } from "../../schema/network.ts";
import type { Spec } from "../../schema/spec.ts";
import { type Finding, go, warn } from "./finding.ts";
import { isOnCard, type PathNow, pathNow, pathThen, wayDiffers } from "./network/link-path.ts";

const check = "new network";
/** Where a definition's own files may say it instead. */
const ownFiles =
  /^\/etc\/(systemd\/network\/.+\.network|network\/interfaces(\.d\/.+)?|netplan\/.+|NetworkManager\/.+)$/;

/**
 * Whether the new system will be where the host is reached now. That it is not is the most common way to lose a machine. Sure of it
 * is only what goes by MAC address: names of cards may differ between two systems.
 */
export function newNetwork(
  { network }: Pick<Spec, "network">,
  files: Iterable<string>,
  facts: Pick<Facts, "links" | "routes">,
  reachedBy: string,
): Finding {
  const address = plain(reachedBy);
  const declared = Object.entries(network);
  if (declared.length === 0) {
    if ([...files].some((path) => ownFiles.test(path)))
      return go(check, "the definition's own files say it; not compared");
    return warn(
      check,
      "the definition declares no network, so the new system may have none",
      "say it in `network`",
    );
  }
  const link = facts.links.find((one) => one.addresses.some((other) => same(other.address, address)));
  if (address === "" || link === undefined)
    return go(check, "where the host is reached is not known; not compared");
  const fixed = declared.find(([, { addresses }]) =>
    addresses.some((one) => same(one.split("/")[0]!, address)),
  );
  const now = pathNow(link, facts.links);
  if (fixed !== undefined) return fixedAddress(fixed, link, address, network, facts, now);
  return otherAddress(
    declared,
    link,
    address,
    (name) => wayDiffers(now, pathThen(name, network)) === undefined,
  );
}

/** The new system has the address: on the same card, and with the same way out? */
function fixedAddress(
  [name]: readonly [string, Network],
  link: LinkFacts,
  address: string,
  network: Spec["network"],
  { routes }: Pick<Facts, "routes">,
  now: PathNow,
): Finding {
  const then = pathThen(name, network);
  if (!isOnCard(now, then))
    return warn(
      check,
      `${address} is declared for ${name}, which is not the card that has it now: ${cardsOf(now, link)}`,
      `say match: { mac: "${(now.cards[0] ?? link).mac.toLowerCase()}" }`,
    );
  const differs = wayDiffers(now, then);
  if (differs !== undefined)
    return warn(
      check,
      `${address} stays, and ${differs}`,
      "say the same in `network`, unless the switch changes too",
    );
  const isOurs = ({ to, via, table }: Facts["routes"][number]) =>
    to === "default" &&
    table === undefined &&
    via !== undefined &&
    isIPv6(via) === isIPv6(address) &&
    !via.startsWith("fe80:");
  const gateways = routes.filter(isOurs).map(({ via }) => via!);
  const declared = Object.values(network).flatMap(({ gateway, routes: more = [] }) => [
    ...gateway,
    ...more.flatMap((route) =>
      route.destination === "default" && route.gateway !== undefined ? [route.gateway] : [],
    ),
  ]);
  if (gateways.length === 0 || gateways.some((via) => declared.some((other) => same(other, via))))
    return go(check, `${address} on ${name}, as now`);
  const shown = declared.filter((via) => isIPv6(via) === isIPv6(address)).join(", ") || "none";
  return warn(
    check,
    `${address} stays, and its gateway does not: now ${gateways.join(", ")}, then ${shown}`,
    "correct `gateway` in the definition, unless the network changes too",
  );
}

function otherAddress(
  declared: readonly (readonly [string, Network])[],
  link: LinkFacts,
  address: string,
  isThere: (name: string) => boolean,
): Finding {
  const here = link.addresses.find((one) => same(one.address, address));
  const asks = ({ dhcp, ipv6AcceptRa }: Network) =>
    isIPv6(address)
      ? dhcp === "yes" || dhcp === "ipv6" || ipv6AcceptRa !== false
      : dhcp === "yes" || dhcp === "ipv4";
  const asking = declared.find(([name, one]) => isThere(name) && asks(one));
  if (asking !== undefined && here?.dynamic === true)
    return go(check, `${asking[0]} asks for its address, as ${link.name} does now`);
  const where = `the host is reached at ${address}, on ${link.name} (${link.mac})`;
  if (asking !== undefined)
    return warn(
      check,
      `${where}, where that address is fixed; the new system asks for one there, and may get another`,
      `say addresses: ["${address}/${here?.prefix ?? 24}"], unless the server gives this address to the card`,
    );
  const addresses = declared.flatMap(([, one]) => one.addresses);
  return warn(
    check,
    `${where}; the new system does not have that address: ${addresses.join(", ") || "it asks for one on another card"}`,
    "it would be looked for at the old address: correct `network` in the definition",
  );
}

function cardsOf({ cards }: PathNow, link: LinkFacts): string {
  const [card] = cards;
  const below = card === undefined || card === link ? "" : ` on ${cards.map(({ name }) => name).join(", ")}`;
  return `${link.name} (${link.mac})${below}`;
}

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

/** Of IPv6 there are many spellings. */
function same(a: string, b: string): boolean {
  return spelled(a) === spelled(b);
}

function spelled(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname : address;
}
