import { existsSync } from "node:fs";
import { plainEnv, run } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { freeCards } from "./cards.ts";

const dhcpTimeoutMs = 90_000;
const ipMs = 30_000;
/** Of default routes where nothing is known of them. */
const anyMetric = 1024;

/**
 * BusyBox's client stays in the background and renews the lease; its script sets address, routes and DNS. False when no server
 * answers: a switch may keep a port that came up anew closed for half a minute, and then the old system's own address is as good.
 */
export async function askDhcp(name: string, metric: number | undefined, log: Log): Promise<boolean> {
  const answered = await ask(name, metric);
  if (!answered)
    log.warn(`no DHCP server answers on ${name}; it gets the address that the old system had from one`);
  return answered;
}

/** What is left where the old system's network cannot be had: DHCP on every card; the kernel listens for advertisements. */
export async function askEverywhere(log: Log, sysClassNet: string): Promise<void> {
  // In a rescue medium's base they ask already.
  const cards = freeCards(sysClassNet).filter((name) => !existsSync(`/run/udhcpc.${name}.pid`));
  log.warn(
    `the old system's network is not to be had; asking for addresses by DHCP on ${cards.join(", ") || "no card"}`,
  );
  await Promise.all(
    cards.map(async (name, index) => {
      await run(["ip", "link", "set", "dev", name, "up"], { timeoutMs: ipMs, accept: "any" });
      if (await ask(name, anyMetric + index)) log.info(`a DHCP server answers on ${name}`);
    }),
  );
}

async function ask(name: string, metric: number | undefined): Promise<boolean> {
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
    return false;
  }
}
