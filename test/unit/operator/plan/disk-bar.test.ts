import { describe, expect, it } from "vitest";
import { diskBar } from "../../../../src/operator/plan/disk-bar.ts";

const gib = 2 ** 30;
const part = (label: string, size: number, kept = false) => ({ label, bytes: size * gib, kept });

describe("a disk in one line", () => {
  it("has its partitions by their shares, what is kept marked, and the rest as free", () => {
    expect(diskBar([part("esp", 0.25), part("root ext4 on /", 16), part("home", 8, true)], 32 * gib)).toBe(
      "[e|root ext4 on /             |=home=========|free         ]",
    );
    expect(diskBar([], 32 * gib)).toBe(`[free${" ".repeat(54)}]`);
    expect(diskBar([], 0)).toBe(`[empty${" ".repeat(53)}]`);
  });

  it("is always as wide, and shows each partition", () => {
    for (let count = 1; count <= 29; count += 1) {
      const parts = Array.from({ length: count }, (_, index) =>
        part("x".repeat(80), index === 0 ? 900 : 0.001),
      );
      const bar = diskBar(parts, 901 * gib);
      expect(bar).toHaveLength(60);
      expect(bar.split("|").filter((one) => one.includes("x"))).toHaveLength(count);
    }
  });

  it("is drawn where sizes make no sense", () => {
    expect(diskBar([part("a", 0), part("b", 0)], 0)).toHaveLength(60);
    expect(diskBar([part("a", 64)], 32 * gib)).toHaveLength(60);
  });
});
