import { describe, expect, it } from "vitest";
import { diskFates } from "../../src/storage/disk-fates.ts";
import { diskFacts, esp, holding, keptDisk, keptUuid, mib, root, storageOf } from "../helpers/storage.ts";
import { storageFor } from "../helpers/storage-steps.ts";

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
