import { describe, expect, it } from "vitest";
import * as ids from "../../src/storage/ids.ts";

describe("identifiers", () => {
  const all = (seed: string) => [
    ids.diskUuid(seed, "system"),
    ids.partitionUuid(seed, "system", "root"),
    ids.filesystemUuid(seed, "system", "root"),
    ids.hashSeed(seed, "system", "root"),
    ids.swapUuid(seed),
    ids.filesystemUuid(seed, "system", "home"),
    ids.filesystemUuid(seed, "data", "root"),
  ];

  it("are the same for the same seed, and differ for every seed and thing", () => {
    expect(all("a")).toEqual(all("a"));
    expect(new Set([...all("a"), ...all("b")]).size).toBe(14);
  });

  it("are UUIDs in lower case", () => {
    for (const uuid of all("a"))
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("of FAT are eight digits for mkfs and two groups for the kernel", () => {
    const id = ids.vfatVolumeId("a", "system", "esp");
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(ids.vfatUuid("1a2b3c4d")).toBe("1A2B-3C4D");
    expect(ids.vfatVolumeId("b", "system", "esp")).not.toBe(id);
  });
});
