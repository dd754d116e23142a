import { describe, expect, it } from "vitest";
import { declaredMisfits, laidOn, refuseMisfit } from "../../../../src/storage/size/fit.ts";
import { diskFacts, mib, root, storageOf } from "../../../helpers/builders/storage.ts";

const linux = (size: string) => [{ ...root, size }];
const other = (size: string) => ({
  match: { serial: "OTHER" },
  table: { type: "gpt", partitions: [{ name: "root", type: "linux", size }] },
});

describe("laidOn", () => {
  it("gives the size of each disk's own partitions, and none of what is not there", () => {
    const storage = storageOf(linux("100MiB"), { disks: { other: other("200MiB") } });
    const system = diskFacts("vda");
    const sizeOf = laidOn(storage, { system, other: diskFacts("vdb") });
    expect([sizeOf("system", "root"), sizeOf("other", "root")]).toEqual([100 * mib, 200 * mib]);
    expect([sizeOf("system", "none"), sizeOf("none", "root")]).toEqual([undefined, undefined]);
    expect(laidOn(storage, { system })("other", "root")).toBeUndefined();
  });
});

describe("what does not fit", () => {
  const storage = (match: object = {}, size = "rest", more: object = {}) => {
    const made = storageOf(linux(size), { swapFile: { size: "3GiB" } });
    const { system } = made.disks;
    return { ...made, disks: { system: { ...system!, match: { serial: "SYS", ...match }, ...more } } };
  };

  it("is refused on a machine's disk", () => {
    expect(() => refuseMisfit(storage(), { system: diskFacts("vda", { sizeBytes: 2048 * mib }) })).toThrow(
      "the swap file of 3072 MiB does not fit on the root filesystem of 2046 MiB",
    );
    expect(() => refuseMisfit(storage(), { system: diskFacts("vda") })).not.toThrow();
  });

  it("is seen by a size that is declared: of the image, else the most that is matched", () => {
    const misfits = (...args: Parameters<typeof storage>) =>
      declaredMisfits(storage(...args)).map(({ path }) => path.join("."));
    const found = ["storage.swapFile.size"];
    expect(misfits({}, "rest", { imageSize: 2048 * mib })).toEqual(found);
    expect(misfits({ maxSize: 2048 * mib })).toEqual(found);
    expect(misfits({ maxSize: 2048 * mib }, "rest", { imageSize: 8192 * mib })).toEqual([]);
    // Where no size is declared, disks may be of any.
    expect(misfits({})).toEqual([]);
    // A partition of its own size is the same on all of them.
    expect(misfits({}, "1GiB")).toEqual(found);
    // What is wrong with the table is said elsewhere.
    expect(misfits({ maxSize: 1024 * mib }, "4GiB")).toEqual([]);
  });
});
