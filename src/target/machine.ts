import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../schema/base/deploy.ts";
import { readIfThere } from "../system/files/read-if-there.ts";
import { dmiUuidOf } from "../system/machine/dmi-uuid.ts";
import { run } from "../system/run/run.ts";

/** Seconds since this kernel started. */
export function uptime(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
}

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** What the hardware says of itself: read here, never from the payload. */
export function hardware(sys = "/sys"): Machine {
  const uuid = dmiUuidOf(readIfThere(join(sys, "class/dmi/id/product_uuid")) ?? "");
  const net = join(sys, "class/net");
  // A bond gives its cards its own address.
  const own = (name: string) =>
    readIfThere(join(net, name, "bonding_slave/perm_hwaddr")) ??
    readIfThere(join(net, name, "address")) ??
    "";
  const macs = (existsSync(net) ? readdirSync(net) : [])
    .filter((name) => existsSync(join(net, name, "device")))
    .map((name) => own(name).trim().toLowerCase());
  return { ...(uuid === undefined ? {} : { uuid }), macs: [...new Set(macs)].sort() };
}

/** Restarts through the firmware. What is mounted was synced and unmounted before; the rest is RAM. Without `flush` no disk is waited for. */
export async function restart(flush: boolean): Promise<never> {
  if (flush) await run(["sync"], { timeoutMs: 60_000 }).catch(() => {});
  // The kernel's own way needs no working program; BusyBox's is the second.
  try {
    writeFileSync("/proc/sysrq-trigger", "b");
  } catch {
    await run(["busybox", "reboot", "-f"], { timeoutMs: 30_000 }).catch(() => {});
  }
  for (;;) await sleep(1_000);
}
