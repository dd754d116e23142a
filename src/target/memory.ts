import { readFileSync } from "node:fs";

const sampleEveryMs = 500;

/** Samples how much memory the base uses, tmpfs included: total less available, in MiB. */
export function watchMemory(read: () => string = () => readFileSync("/proc/meminfo", "utf8")): {
  peakMib(): number;
  totalMib(): number;
  stop(): void;
} {
  let peak = 0;
  const sample = () => {
    const { total, available } = parseMeminfo(read());
    peak = Math.max(peak, total - available);
  };
  sample();
  const timer = setInterval(sample, sampleEveryMs);
  timer.unref();
  return {
    peakMib: () => Math.round(peak / 1024),
    totalMib: () => Math.round(parseMeminfo(read()).total / 1024),
    stop: () => clearInterval(timer),
  };
}

/** Bytes that programs can still have. */
export function availableMemory(text: string = readFileSync("/proc/meminfo", "utf8")): number {
  return parseMeminfo(text).available * 1024;
}

/** MemTotal and MemAvailable of /proc/meminfo, in KiB. */
function parseMeminfo(text: string): { total: number; available: number } {
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return { total: field("MemTotal"), available: field("MemAvailable") };
}
