import { describe, expect, it } from "vitest";
import { diskFates } from "../../../../src/storage/match/disk-fates.ts";
import {
  diskFacts,
  esp,
  holding,
  keptDisk,
  keptUuid,
  mib,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";
import { storageFor } from "../../../helpers/builders/storage-steps.ts";

const part = (name: string, startMib: number, more: object = {}) => ({
  ...{ name, startBytes: startMib * mib, sizeBytes: 100 * mib, mountPoints: [], ...more },
});

describe("diskFates", () => {
  it("tells what is lost, kept and made, on a disk that is wiped, rewritten or left alone", () => {
    const home = {
      ...{ name: "home", type: "linux" },
      content: { type: "ext4", mount: "/home", keep: { uuid: keptUuid } },
    };
    const storage = storageOf([{ ...root, size: "1GiB" }, home], {
      disks: {
        data: keptDisk,
        wiped: { match: { serial: "W" }, table: { type: "gpt", partitions: [holding({ type: "swap" })] } },
      },
    });
    const system = diskFacts("vda", {
      serial: "SYS",
      partitions: [
        part("vda1", 1, { fsType: "ext4", mountPoints: ["/"] }),
        part("vda2", 2000, { fsType: "ext4", uuid: keptUuid }),
      ],
    });
    const data = diskFacts("vdb", { fsType: "ext4", uuid: keptUuid });
    expect(diskFates(storage, { system, data, wiped: diskFacts("vdc", { fsType: "LVM2_member" }) })).toEqual([
      {
        ...{ name: "system", kernelName: "vda", fate: "rewritten" },
        before: [
          { name: "vda1", sizeBytes: 100 * mib, holds: "ext4 on /", fate: "lost" },
          { name: "vda2", sizeBytes: 100 * mib, holds: "ext4", fate: "kept" },
        ],
        after: [
          { name: "root", sizeBytes: 1024 * mib, holds: "ext4 on /", fate: "made" },
          { name: "home", sizeBytes: 100 * mib, holds: "ext4 on /home (kept)", fate: "kept" },
        ],
      },
      {
        ...{ name: "data", kernelName: "vdb", fate: "kept", after: [] },
        before: [{ name: "vdb", sizeBytes: 4096 * mib, holds: "ext4", fate: "kept" }],
      },
      {
        ...{ name: "wiped", kernelName: "vdc", fate: "wiped" },
        before: [{ name: "vdc", sizeBytes: 4096 * mib, holds: "LVM2_member", fate: "lost" }],
        after: [{ name: "data", sizeBytes: 1024 * mib, holds: "swap", fate: "made" }],
      },
    ]);
  });

  it("keeps each of several kept partitions, and shows where something is mounted more than once", () => {
    const uuids = [keptUuid, "9d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d"];
    const kept = uuids.map((uuid, index) => ({
      ...{ name: `kept${index}`, type: "linux" },
      content: { type: "ext4", mount: `/kept${index}`, keep: { uuid } },
    }));
    const partitions = [
      part("vda1", 1, { mountPoints: ["/a", "/b"] }),
      ...uuids.map((uuid, index) => part(`vda${index + 2}`, 1000 + 200 * index, { fsType: "ext4", uuid })),
    ];
    const [fate] = diskFates(storageOf([{ ...root, size: "100MiB" }, ...kept]), {
      system: diskFacts("vda", { serial: "SYS", partitions }),
    });
    expect(fate!.before.map(({ holds, fate: one }) => [holds, one])).toEqual([
      ["no filesystem on /a, /b", "lost"],
      ["ext4", "kept"],
      ["ext4", "kept"],
    ]);
  });

  it("shows what is no filesystem as what it is", () => {
    const luks = { type: "luks", name: "c", key: "k", detachedHeader: true, content: { type: "swap" } };
    const storage = storageFor(
      [
        [
          { name: "bios", type: "bios-boot", size: "1MiB" },
          holding({ type: "btrfs-member", pool: "p" }, "64MiB", "b"),
          holding({ type: "btrfs", mount: "/t", subvolumes: { a: { mount: "/a" } } }, "128MiB", "t"),
          holding({ type: "luks-header", volume: "c" }, "64MiB", "h"),
          holding(luks, "64MiB", "c"),
          holding({ type: "swap", randomKey: "swap" }, "64MiB", "s"),
          holding({ type: "verity-hash" }, "64MiB", "v"),
          holding({ type: "lvm-pv", group: "none" }, "64MiB", "l"),
          holding({ type: "md-member", array: "none" }, "64MiB", "m"),
        ],
      ],
      { pools: { p: { mount: "/p", data: "single", metadata: "single" } } },
    );
    const [fate] = diskFates(storage, { a: diskFacts("vda", { sizeBytes: 8192 * mib }) });
    expect(fate!.after.map(({ holds }) => holds)).toEqual([
      "bios-boot",
      "btrfs pool p",
      "btrfs on /t, /a",
      "header of LUKS c",
      "LUKS c: swap",
      "swap of a random key",
      "digests of the root",
      "LVM none: ",
      "RAID  none",
      "ext4 on /",
    ]);
  });

  it("shows a stack down to where it is mounted", () => {
    const storage = storageFor(
      [
        [
          esp,
          holding({ type: "md-member", array: "md" }),
          holding({ type: "btrfs", subvolumes: { a: { mount: "/a" }, b: {} } }, "1GiB", "b"),
        ],
        [holding({ type: "md-member", array: "md" })],
      ],
      {
        arrays: {
          md: {
            level: 1,
            content: { type: "luks", name: "c", key: "k", content: { type: "lvm-pv", group: "vg" } },
          },
        },
        volumeGroups: {
          vg: {
            volumes: {
              home: { size: "rest", content: { type: "xfs", mount: "/home" } },
              x: { size: "1GiB" },
            },
          },
        },
      },
    );
    const facts = { a: diskFacts("vda", { sizeBytes: 8192 * mib }), b: diskFacts("vdb") };
    expect(diskFates(storage, facts)[0]!.after.map(({ holds }) => holds)).toEqual([
      "vfat on /efi",
      "RAID 1 md: LUKS c: LVM vg: home xfs on /home, x linear",
      "btrfs on /a",
      "ext4 on /",
    ]);
  });
});
