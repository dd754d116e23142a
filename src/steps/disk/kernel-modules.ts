import type { Command } from "../step/step.ts";

const timeoutMs = 120_000;
const settleMs = 90_000;
/** What a program asks of the kernel before it could have the kernel load it by itself. */
const modulesOf: Readonly<Record<string, readonly string[]>> = {
  cryptsetup: ["dm-crypt"],
  dmsetup: ["dm-mod"],
  lvm: ["dm-mod"],
  mdadm: ["md-mod"],
  snapshot: ["dm-snapshot", "loop"],
};

/** Loads what these programs need; what is built in, or loaded, is fine. */
export function loadModules(programs: readonly string[]): Command[] {
  const names = [...new Set(programs.flatMap((program) => modulesOf[program] ?? []))].sort();
  return names.length === 0 ? [] : [{ argv: ["modprobe", "--all", ...names], options: { timeoutMs } }];
}

/** udev opens what appears and what was written, for a moment, and nothing can be closed meanwhile. */
export const settle: Command = {
  argv: ["udevadm", "settle", "--timeout=60"],
  options: { timeoutMs: settleMs },
};
