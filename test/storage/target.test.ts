import { describe, expect, it } from "vitest";
import { partitionAt } from "../../src/storage/target.ts";
import { mib } from "../helpers/storage.ts";

const part = (number: number, startMib: number, sizeMib: number) => ({
  kernelName: `vda${number}`,
  number,
  startBytes: startMib * mib,
  sizeBytes: sizeMib * mib,
});
const disk = {
  path: "/dev/vda",
  kernelName: "vda",
  sectorSize: 512,
  holders: [],
  partitions: [part(1, 1, 9), part(3, 10, 90)],
};
const wanted = (number: number, startMib: number, sizeMib: number) => ({
  disk: { name: "system", serial: "SYS", sizeBytes: 100 * mib },
  number,
  startBytes: startMib * mib,
  sizeBytes: sizeMib * mib,
});

describe("partitionAt", () => {
  it("finds a partition by its place", () => {
    expect(partitionAt(disk, wanted(3, 10, 90)).kernelName).toBe("vda3");
  });

  it("finds what is kept under another number, as a build that is resumed behind a new table does", () => {
    expect(partitionAt(disk, wanted(2, 10, 90)).kernelName).toBe("vda3");
  });

  it("refuses a place where no partition lies, under whatever number", () => {
    expect(() => partitionAt(disk, wanted(3, 10, 80))).toThrow(
      `partition 3 of disk system lies at ${10 * mib}, ${90 * mib} bytes long; the plan says ${10 * mib} and ${80 * mib}`,
    );
    expect(() => partitionAt(disk, wanted(2, 50, 10))).toThrow(
      "partition 2 of disk system (/dev/vda) is not there",
    );
  });
});
