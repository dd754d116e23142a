import { describe, expect, it } from "vitest";
import type { WrittenDisk } from "../../src/schema/storage.ts";
import { layoutOf, sfdiskScript, usableEnd } from "../../src/storage/gpt.ts";
import { diskUuid, partitionUuid } from "../../src/storage/ids.ts";
import { bios, esp, mib, root, storageOf } from "../helpers/storage.ts";

const ids = { seed: "s", name: "system" };

function layout(partitions: readonly object[], sizeBytes = 4096 * mib, sectorSize = 512) {
  return layoutOf(storageOf(partitions).disks.system as WrittenDisk, sizeBytes, sectorSize, ids);
}

describe("layoutOf", () => {
  it("lays partitions from 1 MiB on, in order, the last one to the end", () => {
    const { partitions, ...disk } = layout([bios, esp, root]);
    expect(disk).toEqual({
      disk: "system",
      table: "gpt",
      diskUuid: diskUuid("s", "system"),
      sizeBytes: 4096 * mib,
      sectorSize: 512,
    });
    expect(
      partitions.map(({ number, name, startBytes, sizeBytes }) => [
        number,
        name,
        startBytes / mib,
        sizeBytes / mib,
      ]),
    ).toEqual([
      [1, "bios", 1, 1],
      [2, "esp", 2, 256],
      [3, "root", 258, 4095 - 258],
    ]);
    expect(partitions[2]!.partUuid).toBe(partitionUuid("s", "system", "root"));
  });

  it("ends before the backup table, on disks of any size and both sector sizes", () => {
    for (const sectorSize of [512, 4096])
      for (const sizeBytes of [
        4096 * mib,
        4096 * mib - 4096,
        4096 * mib + 20_480,
        5_000_000_000 - (5_000_000_000 % 4096),
      ]) {
        const last = layout(
          [esp, root].map((one) => (one === esp ? { ...esp, size: "300MiB" } : one)),
          sizeBytes,
          sectorSize,
        ).partitions.at(-1)!;
        const backup = 128 * 128 + sectorSize;
        expect(last.startBytes + last.sizeBytes).toBeLessThanOrEqual(sizeBytes - backup);
        expect(last.startBytes + last.sizeBytes).toBe(usableEnd(sizeBytes, sectorSize));
        expect(last.sizeBytes % mib).toBe(0);
      }
  });

  it("fills a disk to the last usable MiB and not one more", () => {
    const of = (size: string) => [{ ...root, size }];
    expect(layout(of("98MiB"), 100 * mib).partitions[0]!.sizeBytes).toBe(98 * mib);
    expect(() => layout(of("99MiB"), 100 * mib)).toThrow(
      "disk system of 100 MiB is too small: partition root does not fit; the layout needs 100 MiB and partitions can use 99 MiB",
    );
  });

  it.each<[string, readonly object[], number, number, RegExp]>([
    ["rest before the end", [root, esp], 4096 * mib, 512, /root .* is not the last one/],
    ["a name twice", [bios, { ...bios }], 4096 * mib, 512, /two partitions named bios/],
    ["no room for the rest", [esp, root], 257 * mib, 512, /partition esp does not fit|root does not fit/],
    ["a disk of nothing", [root], 0, 512, /too small/],
    ["sectors of 520 bytes", [root], 4096 * mib, 520, /sectors of 520 bytes/],
    ["bios-boot on 4096-byte sectors", [bios, root], 4096 * mib, 4096, /BIOS firmware cannot start/],
    ["an ESP too small for FAT32", [{ ...esp, size: "32MiB" }, root], 4096 * mib, 512, /too small for FAT32/],
    ["an ESP too small for FAT32 there", [esp, root], 4096 * mib, 4096, /too small for FAT32/],
  ])("refuses %s", (_name, partitions, sizeBytes, sectorSize, message) => {
    expect(() => layout(partitions, sizeBytes, sectorSize)).toThrow(message);
  });
});

describe("sfdiskScript", () => {
  it("says everything, in sectors", () => {
    const upper = (uuid: string) => uuid.toUpperCase();
    expect(sfdiskScript(layout([bios, esp, root]))).toBe(
      [
        "label: gpt",
        `label-id: ${upper(diskUuid("s", "system"))}`,
        "unit: sectors",
        "first-lba: 2048",
        "sector-size: 512",
        "",
        `1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, uuid=${upper(partitionUuid("s", "system", "bios"))}, name="bios"`,
        `2 : start=4096, size=524288, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${upper(partitionUuid("s", "system", "esp"))}, name="esp"`,
        `3 : start=528384, size=${(4095 - 258) * 2048}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=${upper(partitionUuid("s", "system", "root"))}, name="root"`,
        "",
      ].join("\n"),
    );
  });

  it("counts in the disk's own sectors", () => {
    const text = sfdiskScript(layout([root], 4096 * mib, 4096));
    expect(text).toContain("first-lba: 256\nsector-size: 4096\n");
    expect(text).toContain(`1 : start=256, size=${4094 * 256},`);
  });
});
