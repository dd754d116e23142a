import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NetworkReplay } from "../schema/deploy.ts";
import { linkCommands } from "../system/network-replay.ts";
import { run } from "../system/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";

/** Drivers may still be probing when the runner starts. */
const linkWaitMs = 60_000;
const dhcpTimeoutMs = 90_000;

/** Sets the base's network up as the old system had it; links are found by MAC. */
export async function restoreNetwork(
  replay: NetworkReplay,
  log: Log,
  sysClassNet = "/sys/class/net",
): Promise<void> {
  if (replay.dns.length > 0) writeResolvConf(replay.dns);
  for (const link of replay.links) {
    const name = await waitForLink(link.mac, sysClassNet);
    log.info(`${link.mac} is ${name}`);
    for (const command of linkCommands(link, name)) await run(command, { timeoutMs: 30_000 });
    if (link.dhcp4) await askDhcp(name);
  }
}

/** The kernel name of the physical link with that MAC, as soon as it is there. */
async function waitForLink(mac: string, sysClassNet: string): Promise<string> {
  const until = Date.now() + linkWaitMs;
  for (;;) {
    const found = readdirSync(sysClassNet).find(
      (name) => readOr(join(sysClassNet, name, "address")).trim() === mac,
    );
    if (found !== undefined) return found;
    if (Date.now() > until)
      throw new Fail(`no network card with the address ${mac} appeared in the base`, {
        hint: "its driver may be missing from the base: add it to initramfs/IMGBUILD.ts",
      });
    await sleep(250);
  }
}

/** BusyBox's client stays in the background and renews the lease; its script sets address, routes and DNS. */
async function askDhcp(name: string): Promise<void> {
  await run(
    [
      "busybox",
      "udhcpc",
      "-i",
      name,
      "-s",
      "/usr/lib/imgbuild/udhcpc.script",
      "-t",
      "10",
      "-T",
      "2",
      "-n",
      "-S",
      "-p",
      `/run/udhcpc.${name}.pid`,
    ],
    {
      timeoutMs: dhcpTimeoutMs,
      hint: "no DHCP server answered in the base, though the old system had its address from one",
    },
  );
}

function writeResolvConf(servers: readonly string[]): void {
  mkdirSync("/etc", { recursive: true });
  writeFileSync("/etc/resolv.conf", servers.map((server) => `nameserver ${server}\n`).join(""));
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
