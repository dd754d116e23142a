import { describe, expect, it } from "vitest";
import { memoryNeeds } from "../../../../../src/operator/takeover/ways/memory.ts";

const mib = 2 ** 20;
const base = 110 * mib;

describe("the RAM that a deploy takes", () => {
  it("is twice the base and room to work, where the base makes the tree", () => {
    expect(memoryNeeds({ baseBytes: base, treeBytes: 0, onDisk: true })).toEqual({
      total: { mib: 640, sum: "2 × base 110 + work 420" },
      available: { mib: 268, sum: "2 × base 110 + old system 48" },
    });
  });

  it("counts a shipped tree as often as the base, once more where the initramfs is in RAM too", () => {
    const [disk, ram] = [true, false].map((onDisk) =>
      memoryNeeds({ baseBytes: base, treeBytes: 100 * mib, onDisk }),
    );
    expect(disk).toEqual({
      total: { mib: 580, sum: "2 × base 110 + 2 × tree 100 + kernel 160" },
      available: { mib: 468, sum: "2 × base 110 + 2 × tree 100 + old system 48" },
    });
    expect(ram!.total).toEqual(disk!.total);
    expect(ram!.available).toEqual({ mib: 678, sum: "3 × base 110 + 3 × tree 100 + old system 48" });
  });

  it("is what the work takes, where that is more than the start", () => {
    expect(memoryNeeds({ baseBytes: 60 * mib, treeBytes: 40 * mib, onDisk: true }).total).toEqual({
      mib: 400,
      sum: "base 60 + tree 40 + work 300",
    });
  });

  it("counts each begun MiB, and packages that are fetched before the first write", () => {
    const { total } = memoryNeeds({ baseBytes: base + 1, treeBytes: 0, onDisk: true, packagesBytes: 1 });
    expect(total).toEqual({ mib: 2 * 111 + 1 + 420, sum: "2 × base 111 + packages 1 + work 420" });
  });
});
