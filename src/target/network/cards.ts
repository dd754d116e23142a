import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkReplay } from "../../schema/base/deploy.ts";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { hardwarePath } from "../../system/machine/link-names.ts";
import { Fail } from "../../util/fail.ts";

/** Drivers may still be probing when the runner starts. */
const linkWaitMs = 60_000;

/** The kernel name of the physical link with that MAC, as soon as it is there; `made` are the names of what was made here. */
export async function waitForCard(
  link: Pick<LinkReplay, "mac" | "address" | "path">,
  made: ReadonlySet<string>,
  sysClassNet: string,
): Promise<string> {
  const until = Date.now() + linkWaitMs;
  for (;;) {
    const found = cardsIn(sysClassNet).find((name) => !made.has(name) && isMeant(name, link, sysClassNet));
    if (found !== undefined) return found;
    if (Date.now() > until)
      throw new Fail(`no network card with the address ${link.mac} appeared in the base`, {
        hint: "its driver may be missing from the base: add it to initramfs/IMGBUILD.ts",
      });
    await sleep(250);
  }
}

/** Links that are no part of another card: that one has their address too, as a virtual function under a hypervisor's card. */
function cardsIn(sysClassNet: string): string[] {
  const isPart = (name: string) =>
    existsSync(join(sysClassNet, name, "master")) &&
    !["bonding_slave", "brport"].some((kind) => existsSync(join(sysClassNet, name, kind)));
  return readdirSync(sysClassNet).filter((name) => !isPart(name));
}

/** A runner that is started anew finds a card with another address than its own. */
function isMeant(
  name: string,
  { mac, address, path }: Pick<LinkReplay, "mac" | "address" | "path">,
  sysClassNet: string,
): boolean {
  const read = (...at: string[]) => readIfThere(join(sysClassNet, name, ...at))?.trim();
  const isBonded = read("bonding_slave", "perm_hwaddr") === mac;
  const current = read("address");
  if (!isBonded && current !== mac && (address === undefined || current !== address)) return false;
  if (path === undefined) return true;
  const device = join(sysClassNet, name, "device");
  return existsSync(device) && hardwarePath(realpathSync(device), read("dev_port")) === path;
}

/** Cards by their hardware that are in no bond and no bridge. */
export function freeCards(sysClassNet: string): string[] {
  return cardsIn(sysClassNet).filter(
    (name) => existsSync(join(sysClassNet, name, "device")) && !existsSync(join(sysClassNet, name, "master")),
  );
}
