import type { Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { type Finding, go, noGo, warn } from "./finding.ts";

/** Whether the machine has the cards that a definition knows by their MAC address; nothing where it knows none so. */
export function cardsFound({ network }: Pick<Spec, "network">, { links }: Pick<Facts, "links">): Finding[] {
  const check = "cards";
  const real = Object.entries(network).flatMap(([name, { match }]) =>
    match === undefined ? [] : [{ name, mac: match.mac }],
  );
  const has = links.filter(({ mac }) => mac !== "").map((link) => ({ ...link, mac: link.mac.toLowerCase() }));
  const missing = real.filter(({ mac }) => mac !== undefined && !has.some((link) => link.mac === mac));
  if (real.every(({ mac }) => mac === undefined)) return [];
  if (missing.length === 0) return [go(check, "each card that the definition names was found")];
  const lost = missing.map(({ name, mac }) => `${name} (${mac})`).join(", ");
  const detail = `the machine has no card ${lost}; it has ${has.map((link) => `${link.name} ${link.mac}`).join(", ") || "none"}`;
  const hint = `name the card that takes its place by --card ${missing[0]!.name}=MAC, or in the definition`;
  // By a name that may be there, or by a card that is, the system is on some network.
  return [missing.length === real.length ? noGo(check, detail, hint) : warn(check, detail, hint)];
}

/** Whether the definition starts by the machine's firmware. */
export function firmwareFound(spec: Spec, facts: Facts): Finding {
  const serves = spec.boot?.firmware ?? [];
  if (!serves.includes(facts.firmware))
    return noGo(
      "firmware",
      `the host starts by ${facts.firmware}, the definition serves ${serves.join(" and ") || "none"}`,
      `switch the machine's firmware to ${serves.join(" or ") || "another way"}, or add "${facts.firmware}" to boot.firmware in the definition, with the partition it needs (${facts.firmware === "uefi" ? "type esp" : "type bios-boot, on GPT"})`,
    );
  return go("firmware", facts.firmware);
}
