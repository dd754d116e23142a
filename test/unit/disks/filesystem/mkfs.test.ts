import { describe, expect, it } from "vitest";
import {
  fixedTimeEnv,
  mke2fs,
  mke2fsInto,
  mkfsVfat,
  mkfsVfatInto,
  sectorsPerCluster,
} from "../../../../src/disks/filesystem/mkfs.ts";
import { mib } from "../../../helpers/builders/storage.ts";

const ext4 = { uuid: "u-u", hashSeed: "s-s", label: "root" };

describe("ext4", () => {
  it("is made on a device by exactly this command", () => {
    expect(mke2fs("/dev/x2", ext4).join(" ")).toBe(
      "mke2fs -q -F -t ext4 -b 4096 -I 256 -U u-u -L root -E hash_seed=s-s /dev/x2",
    );
    expect(mke2fs("/dev/x2", { uuid: "u", hashSeed: "s" })).not.toContain("-L");
  });

  it("is made in an image at its offset, from a directory, its size in KiB, alike in all else", () => {
    const at = { offsetBytes: 300 * mib, sizeBytes: 64 * mib };
    const argv = mke2fsInto("/w/disk.raw", at, "/w/tree", ext4);
    expect(argv.join(" ")).toBe(
      "mke2fs -q -F -t ext4 -b 4096 -I 256 -U u-u -L root " +
        `-E hash_seed=s-s,offset=${300 * mib},nodiscard -d /w/tree /w/disk.raw 65536k`,
    );
    expect(argv.slice(0, argv.indexOf("-E"))).toEqual(mke2fs("/dev/x", ext4).slice(0, argv.indexOf("-E")));
  });
});

describe("FAT32", () => {
  const vfat = { volumeId: "1a2b3c4d", label: "ESP" };

  it("is made on a device by exactly this command", () => {
    expect(mkfsVfat("/dev/x1", "8", vfat).join(" ")).toBe(
      "mkfs.vfat -F 32 --invariant -i 1a2b3c4d -n ESP -s 8 /dev/x1",
    );
    expect(mkfsVfat("/dev/x1", "1", { volumeId: "0" })).toEqual(
      "mkfs.vfat -F 32 --invariant -i 0 -s 1 /dev/x1".split(" "),
    );
  });

  it("is made in an image and told how many sectors lie before it", () => {
    expect(mkfsVfatInto("/w/disk.raw", { offsetBytes: 2 * mib, sizeBytes: 64 * mib }, vfat).join(" ")).toBe(
      "mkfs.vfat -F 32 --invariant -i 1a2b3c4d -n ESP -s 1 --offset=4096 -h 4096 /w/disk.raw 65536",
    );
  });

  /** Clusters as mkfs.fat lays them: 32 reserved sectors, two tables of four bytes a cluster. */
  function clusters(sizeBytes: number, sectorSize: number, perCluster: number): number {
    const sectors = sizeBytes / sectorSize;
    const tables = 2 * Math.ceil(((sectors / perCluster + 2) * 4) / sectorSize);
    return Math.floor((sectors - 32 - tables) / perCluster);
  }

  // `checkFirmwareLimits` refuses what is smaller.
  it.each([
    [512, 34],
    [4096, 258],
  ])("has clusters enough not to be taken for FAT16, with sectors of %i bytes", (sectorSize, leastMib) => {
    for (let sizeMib = leastMib; sizeMib <= 2048; sizeMib += 1) {
      const each = sectorsPerCluster(sizeMib * mib, sectorSize);
      expect([1, 2, 4, 8]).toContain(each);
      expect(clusters(sizeMib * mib, sectorSize, each), `${sizeMib} MiB`).toBeGreaterThanOrEqual(65_525);
      // The larger the cluster, the smaller the tables: a doubled one must be out of reach, or nearly so.
      if (each < 8)
        expect(clusters(sizeMib * mib, sectorSize, each * 2), `${sizeMib} MiB`).toBeLessThan(67_500);
    }
  });
});

describe("fixedTimeEnv", () => {
  it("gives every tool the same time and no configuration of this machine", () => {
    expect(fixedTimeEnv(1_700_000_000)).toMatchObject({
      TZ: "UTC",
      LC_ALL: "C.UTF-8",
      SOURCE_DATE_EPOCH: "1700000000",
      E2FSPROGS_FAKE_TIME: "1700000000",
      MTOOLSRC: "/dev/null",
    });
  });
});
