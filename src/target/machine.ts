import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../system/run.ts";

/** Seconds since this kernel started. */
export function uptime(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
}

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Restarts through the firmware. What is mounted was synced and unmounted before; the rest is RAM. */
export async function restart(): Promise<never> {
  await run(["sync"], { timeoutMs: 60_000 }).catch(() => {});
  // The kernel's own way needs no program that works; BusyBox's is the second.
  try {
    writeFileSync("/proc/sysrq-trigger", "b");
  } catch {
    await run(["busybox", "reboot", "-f"], { timeoutMs: 30_000 }).catch(() => {});
  }
  for (;;) await sleep(1_000);
}
