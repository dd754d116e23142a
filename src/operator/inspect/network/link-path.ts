import type { LinkFacts } from "../../../schema/facts.ts";
import { linksOf, type Network } from "../../../schema/network.ts";
import type { Spec } from "../../../schema/spec.ts";
import { linkPattern } from "../../../system/machine/link-names.ts";
import { lowersOf } from "../../../system/machine/link-stack.ts";

interface Path {
  /** Of VLANs, the outermost last. */
  readonly tags: readonly number[];
  readonly speaksLacp: boolean;
}

/** From a link of the host down to its cards. */
export interface PathNow extends Path {
  readonly cards: readonly LinkFacts[];
}

/** From an entry of a definition down to its cards. */
interface PathThen extends Path {
  readonly cards: readonly (readonly [string, Network])[];
}

const lacp = "802.3ad";

export function pathNow(link: LinkFacts, links: readonly LinkFacts[]): PathNow {
  return pathOf(link, (one) => ({
    ...(one.device?.kind === "vlan" ? { tag: one.device.id } : {}),
    speaksLacp: one.device?.kind === "bond" && one.device.options.mode === lacp,
    lowers: lowersOf(one).flatMap((name) => links.find((other) => other.name === name) ?? []),
    isCard: one.kind === undefined,
  }));
}

export function pathThen(name: string, network: Spec["network"]): PathThen {
  const entry = (one: string) => (network[one] === undefined ? [] : [[one, network[one]] as const]);
  const [top] = entry(name);
  if (top === undefined) return { tags: [], speaksLacp: false, cards: [] };
  return pathOf(top, ([, { device }]) => ({
    ...(device?.kind === "vlan" ? { tag: device.id } : {}),
    speaksLacp: device?.kind === "bond" && device.mode === lacp,
    lowers: linksOf(device).flatMap(entry),
    isCard: device === undefined,
  }));
}

interface Step<T> {
  readonly tag?: number;
  readonly speaksLacp: boolean;
  readonly lowers: readonly T[];
  readonly isCard: boolean;
}

function pathOf<T>(top: T, stepOf: (one: T) => Step<T>): Path & { readonly cards: readonly T[] } {
  const cards: T[] = [];
  const tags: number[] = [];
  const seen: T[] = [];
  let speaksLacp = false;
  const walk = (one: T) => {
    if (seen.includes(one)) return;
    seen.push(one);
    const step = stepOf(one);
    if (step.tag !== undefined) tags.push(step.tag);
    speaksLacp ||= step.speaksLacp;
    if (step.isCard) cards.push(one);
    for (const lower of step.lowers) walk(lower);
  };
  walk(top);
  return { cards, tags, speaksLacp };
}

/** Whether a card of the host's way is one that the definition means. */
export function isOnCard(now: PathNow, then: PathThen): boolean {
  return now.cards.some((card) => then.cards.some(([name, link]) => isMeant(name, link, card)));
}

/** What the cable carries now and will not then, in words; undefined where it is the same on the same card. */
export function wayDiffers(now: PathNow, then: PathThen): string | undefined {
  if (!isOnCard(now, then)) return "its card does not";
  const tagsOf = ({ tags }: Path) => tags.join(" in ") || "none";
  if (tagsOf(now) !== tagsOf(then)) return `its VLAN does not: now ${tagsOf(now)}, then ${tagsOf(then)}`;
  const says = ({ speaksLacp }: Path) => (speaksLacp ? "yes" : "no");
  if (now.speaksLacp !== then.speaksLacp)
    return `its bond does not: LACP (802.3ad) now ${says(now)}, then ${says(then)}`;
  return undefined;
}

function isMeant(name: string, { match = { name } }: Network, link: LinkFacts): boolean {
  if (match.mac !== undefined && match.mac.toLowerCase() !== link.mac.toLowerCase()) return false;
  return match.name === undefined || linkPattern(match.name).test(link.name);
}
