import { describe, expect, it } from "vitest";
import { wipeExtents } from "../../../src/disks/wipe.ts";
import { mib } from "../../helpers/builders/storage.ts";

const gib = 1024 * mib;
const extent = (startMib: number, sizeMib: number) => ({
  startBytes: startMib * mib,
  sizeBytes: sizeMib * mib,
});
const covers = (extents: readonly { startBytes: number; sizeBytes: number }[], at: number) =>
  extents.some(({ startBytes, sizeBytes }) => startBytes <= at && at < startBytes + sizeBytes);

describe("F37: wipeExtents", () => {
  const sizeBytes = 4 * gib;

  it("reaches every place of a signature, of the disk, of what was and of what comes", () => {
    const old = extent(1, 2000);
    const made = extent(3, 1000);
    const wiped = wipeExtents({ sizeBytes, partitions: [old, made], kept: [] });
    for (const device of [{ startBytes: 0, sizeBytes }, old, made]) {
      const end = device.startBytes + device.sizeBytes;
      // Superblocks: swap, LVM label, ext4, LUKS, md 1.2, btrfs; btrfs' copy; ZFS' labels; md 0.90 and 1.0.
      for (const at of [0, 512, 1024, 4096, 65_536, 64 * mib, 256 * 1024, 512 * 1024])
        expect(covers(wiped, device.startBytes + at)).toBe(true);
      for (const at of [end - 1, end - 8192, end - 65_536, end - 512 * 1024, end - 256 * 1024])
        expect(covers(wiped, at)).toBe(true);
    }
  });

  it("reaches btrfs' second copy on a large disk, and never behind the end", () => {
    const large = wipeExtents({ sizeBytes: 300 * gib, partitions: [extent(1, 10)], kept: [] });
    expect(covers(large, 256 * gib)).toBe(true);
    for (const { startBytes, sizeBytes: size } of wipeExtents({
      sizeBytes: 100 * 1024,
      partitions: [],
      kept: [],
    })) {
      expect(startBytes).toBeGreaterThanOrEqual(0);
      expect(startBytes + size).toBeLessThanOrEqual(100 * 1024);
    }
  });

  it("touches no byte of what is kept, nor the table around it, whatever lies beside it", () => {
    const kept = extent(100, 500);
    // One that overlaps it as no table could have it, and one that ends in it.
    const partitions = [extent(1, 99), kept, extent(600, 1000), extent(50, 100), extent(99, 1)];
    const wiped = wipeExtents({ sizeBytes, partitions, kept: [kept] });
    for (const { startBytes, sizeBytes: size } of wiped) {
      const end = startBytes + size;
      expect(end <= kept.startBytes || startBytes >= kept.startBytes + kept.sizeBytes).toBe(true);
      expect(size).toBeGreaterThan(0);
    }
    expect(covers(wiped, 0)).toBe(false);
    expect(covers(wiped, mib)).toBe(true);
    expect(covers(wiped, 600 * mib)).toBe(true);
  });

  it("clears these places and nothing between them", () => {
    expect(wipeExtents({ sizeBytes, partitions: [extent(100, 200)], kept: [] })).toEqual([
      { startBytes: 164 * mib, sizeBytes: 4096 },
      extent(299, 1),
      extent(100, 1),
      { startBytes: 64 * mib, sizeBytes: 4096 },
      extent(4095, 1),
      extent(0, 1),
    ]);
  });

  it("reaches a copy of a superblock that ends with its device, and none that would reach beyond it", () => {
    const copies = (size: number) =>
      wipeExtents({ sizeBytes: size, partitions: [], kept: [] }).filter(({ sizeBytes: one }) => one === 4096);
    expect(copies(64 * mib + 4096)).toEqual([{ startBytes: 64 * mib, sizeBytes: 4096 }]);
    expect(copies(64 * mib + 4095)).toEqual([]);
  });

  it("clears nothing beyond the end, where a table names what the disk does not have", () => {
    const partitions = [extent(4000, 96.5), extent(5000, 10), { startBytes: 4095.5 * mib, sizeBytes: mib }];
    expect(wipeExtents({ sizeBytes, partitions, kept: [extent(1, 10)] })).toEqual([
      { startBytes: 4064 * mib, sizeBytes: 4096 },
      { startBytes: 4095.5 * mib, sizeBytes: mib / 2 },
      extent(4000, 1),
      { startBytes: 4095.5 * mib, sizeBytes: mib / 2 },
      { startBytes: 4095.5 * mib, sizeBytes: mib / 2 },
    ]);
  });

  it("clears of a place only what lies before and after what is kept", () => {
    const half = mib / 2;
    const partitions = [
      { startBytes: 100 * mib - half, sizeBytes: 2 * mib },
      { startBytes: 599 * mib, sizeBytes: mib + half },
      { startBytes: 699 * mib, sizeBytes: 2 * mib },
    ];
    const kept = [extent(100, 500), { startBytes: 700 * mib + 4096, sizeBytes: 8192 }];
    expect(wipeExtents({ sizeBytes, partitions, kept })).toEqual([
      { startBytes: 100 * mib - half, sizeBytes: half },
      { startBytes: 600 * mib, sizeBytes: half },
      { startBytes: 700 * mib, sizeBytes: 4096 },
      { startBytes: 700 * mib + 12_288, sizeBytes: mib - 12_288 },
      extent(699, 1),
    ]);
  });
});
