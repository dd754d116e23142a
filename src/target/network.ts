import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NetworkReplay } from "../schema/base/deploy.ts";
import { readIfThere } from "../system/files/read-if-there.ts";
import { linkCommands, upCommand } from "../system/machine/network-replay.ts";
import { plainEnv, run } from "../system/run/run.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Log } from "../util/log.ts";

/** Drivers may still be probing when the runner starts. */
const linkWaitMs = 60_000;
const dhcpTimeoutMs = 90_000;
const ipMs = 30_000;

/** Sets the base's network up as the old system had it, as far as it can be: one link that fails leaves the others alone. */
export async function restoreNetwork(
  replay: NetworkReplay,
  log: Log,
  sysClassNet = "/sys/class/net",
): Promise<void> {
  if (replay.dns.length > 0) writeResolvConf(replay.dns);
  const ends = await Promise.allSettled(replay.links.map((link) => restoreLink(link, log, sysClassNet)));
  const problems = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  const bug = problems.find((problem) => !(problem instanceof Fail));
  if (bug !== undefined) throw bug;
  if (problems.length > 0) throw new Fail(problems.map(messageOf).join("; "));
}

async function restoreLink(
  link: NetworkReplay["links"][number],
  log: Log,
  sysClassNet: string,
): Promise<void> {
  const name = await waitForLink(link.mac, sysClassNet);
  log.info(`${link.mac} is ${name}`);
  await run(upCommand(link, name), { timeoutMs: ipMs });
  const answered = link.dhcp4 && (await askDhcp(name, link.metric, log));
  for (const command of linkCommands(link, name, answered)) await run(command, { timeoutMs: ipMs });
}

/** The kernel name of the physical link with that MAC, as soon as it is there. */
async function waitForLink(mac: string, sysClassNet: string): Promise<string> {
  const until = Date.now() + linkWaitMs;
  for (;;) {
    // A card that is part of another one has that one's address, as a virtual function under a hypervisor's card.
    const found = readdirSync(sysClassNet).find(
      (name) =>
        readIfThere(join(sysClassNet, name, "address"))?.trim() === mac &&
        !existsSync(join(sysClassNet, name, "master")),
    );
    if (found !== undefined) return found;
    if (Date.now() > until)
      throw new Fail(`no network card with the address ${mac} appeared in the base`, {
        hint: "its driver may be missing from the base: add it to initramfs/IMGBUILD.ts",
      });
    await sleep(250);
  }
}

/**
 * BusyBox's client stays in the background and renews the lease; its script sets address, routes and DNS. False when no server
 * answers: a switch may keep a port that came up anew closed for half a minute, and then the old system's own address is as good.
 */
async function askDhcp(name: string, metric: number | undefined, log: Log): Promise<boolean> {
  const argv = ["busybox", "udhcpc", "-i", name, "-s", "/usr/lib/imgbuild/udhcpc.script"];
  const until = ["-t", "20", "-T", "3", "-n", "-S", "-p", `/run/udhcpc.${name}.pid`];
  try {
    await run([...argv, ...until], {
      timeoutMs: dhcpTimeoutMs,
      env: { ...plainEnv, default_metric: metric === undefined ? "none" : String(metric) },
    });
    return true;
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    log.warn(`no DHCP server answers on ${name}; it gets the address that the old system had from one`);
    return false;
  }
}

function writeResolvConf(servers: readonly string[]): void {
  mkdirSync("/etc", { recursive: true });
  writeFileSync("/etc/resolv.conf", servers.map((server) => `nameserver ${server}\n`).join(""));
}
