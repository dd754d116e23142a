import { describe, expect, it, vi } from "vitest";
import { availableMemory, watchMemory } from "../../../src/target/memory.ts";

const meminfo = (totalMib: number, availableMib: number) =>
  `MemTotal:       ${totalMib * 1024} kB\nMemFree:          1 kB\nMemAvailable:   ${availableMib * 1024} kB\n`;

describe("availableMemory", () => {
  it("is what programs can still have, in bytes", () => {
    expect(availableMemory(meminfo(1000, 300))).toBe(300 * 2 ** 20);
  });
});

describe("watchMemory", () => {
  it("remembers the most that was in use, and samples until it is stopped", () => {
    vi.useFakeTimers();
    try {
      let available = 800;
      let reads = 0;
      const watch = watchMemory(() => {
        reads += 1;
        return meminfo(1000, available);
      });
      expect([watch.peakMib(), watch.totalMib()]).toEqual([200, 1000]);
      available = 300;
      vi.advanceTimersByTime(600);
      available = 900;
      vi.advanceTimersByTime(600);
      expect(watch.peakMib()).toBe(700);
      watch.stop();
      const before = reads;
      available = 0;
      vi.advanceTimersByTime(5_000);
      expect([reads, watch.peakMib()]).toEqual([before, 700]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("reads this machine's own memory when nothing else is given", () => {
    const watch = watchMemory();
    watch.stop();
    expect(watch.totalMib()).toBeGreaterThan(watch.peakMib());
    expect(watch.peakMib()).toBeGreaterThan(0);
  });
});
