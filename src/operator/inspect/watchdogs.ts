import type { Facts } from "../../schema/facts.ts";
import { type Finding, go } from "./finding.ts";

/** The watchdog lets so many seconds pass in which the base's dead man does not feed it. */
const watchdogSeconds = 60;

/**
 * Watchdogs that the base's outer archive tries, in this order, until there is one (initramfs/init): those of machines whose drivers need no
 * others, then the kernel's own. Each with the options of its module, and what the kernel calls it.
 */
export const watchdogs: Readonly<Record<string, { readonly options: string; readonly identity: string }>> = {
  i6300esb: { options: `heartbeat=${watchdogSeconds}`, identity: "i6300ESB timer" },
  hpwdt: { options: `soft_margin=${watchdogSeconds}`, identity: "HPE iLO2+ HW Watchdog Timer" },
  sp5100_tco: { options: `heartbeat=${watchdogSeconds}`, identity: "SP5100 TCO timer" },
  wdat_wdt: { options: `timeout=${watchdogSeconds}`, identity: "wdat_wdt" },
  softdog: { options: `soft_margin=${watchdogSeconds}`, identity: "Software Watchdog" },
};

/** What resets a base that hangs on a machine whose kernel knows these watchdogs. */
function resetBy(identities: readonly string[]): { readonly hardware?: string } {
  const { softdog: _softdog, ...machines } = watchdogs;
  const hardware = Object.values(machines).find(({ identity }) => identities.includes(identity))?.identity;
  return hardware === undefined ? {} : { hardware };
}

/** The dead man needs a base that runs; this is about one that does not. No watchdog can be armed before kexec: drivers stop theirs in it. */
export function wayBack({ watchdogs: identities }: Facts): Finding {
  const { hardware } = resetBy(identities);
  const by = hardware === undefined ? "its own kernel's timer" : `the hardware watchdog (${hardware})`;
  const none = hardware === undefined ? "; this host shows no hardware watchdog that the base drives" : "";
  return go(
    "return",
    `a base that hangs before the first write is reset by ${by} after ${watchdogSeconds} s; before its first program by panic only${none}`,
  );
}
