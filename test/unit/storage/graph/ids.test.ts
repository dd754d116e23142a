import { describe, expect, it } from "vitest";
import * as ids from "../../../../src/storage/graph/ids.ts";

describe("identifiers", () => {
  const all = (seed: string) => [
    ids.diskUuid(seed, "system"),
    ids.partitionUuid(seed, "system", "root"),
    ids.filesystemUuid(seed, "system", "root"),
    ids.hashSeed(seed, "system", "root"),
    ids.swapUuid(seed),
    ids.filesystemUuid(seed, "system", "home"),
    ids.filesystemUuid(seed, "data", "root"),
    ids.diskUuid(seed, "data"),
    ids.partitionUuid(seed, "system", "home"),
    ids.partitionUuid(seed, "data", "root"),
    ids.hashSeed(seed, "system", "home"),
    ids.hashSeed(seed, "data", "root"),
  ];

  it("are the same for the same seed, and differ for every seed and thing", () => {
    expect(all("a")).toEqual(all("a"));
    expect(new Set([...all("a"), ...all("b")]).size).toBe(24);
  });

  it("are UUIDs in lower case", () => {
    for (const uuid of all("a"))
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("of an MBR are eight digits, and differ for every seed and disk", () => {
    const all = [ids.mbrId("a", "x"), ids.mbrId("a", "y"), ids.mbrId("b", "x")];
    for (const id of all) expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(new Set(all).size).toBe(3);
  });

  it("of FAT are eight digits for mkfs and two groups for the kernel", () => {
    const id = ids.vfatVolumeId("a", "system", "esp");
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(ids.vfatUuid("1a2b3c4d")).toBe("1A2B-3C4D");
    expect(ids.vfatVolumeId("b", "system", "esp")).not.toBe(id);
  });
});
