import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { contentUuid, filesystemUuid, vfatUuid, vfatVolumeId } from "../../../../src/storage/graph/ids.ts";
import { fstab, fstabField } from "../../../../src/storage/system/fstab.ts";
import {
  bios,
  esp,
  holding,
  keptDisk,
  keptUuid,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";

describe("fstab", () => {
  it("mounts by UUID, root first, parents before children, the swap file last", () => {
    const home = {
      name: "home",
      type: "linux",
      size: "64MiB",
      content: { type: "ext4", mount: "/srv/home", options: ["noatime", "nodev"] },
    };
    const storage = storageOf([bios, home, esp, root], {
      disks: { data: keptDisk },
      swapFile: { size: "64MiB" },
    });
    expect(fstab(storage, "s")).toBe(
      [
        `UUID=${filesystemUuid("s", "system", "root")} / ext4 errors=remount-ro 0 1`,
        `UUID=${vfatUuid(vfatVolumeId("s", "system", "esp"))} /efi vfat umask=0077 0 2`,
        `UUID=${keptUuid} /srv ext4 nofail 0 2`,
        `UUID=${filesystemUuid("s", "system", "home")} /srv/home ext4 noatime,nodev 0 2`,
        "/swapfile none swap defaults 0 0",
        "",
      ].join("\n"),
    );
  });

  it("says defaults where there are no options", () => {
    const plain = { name: "a", type: "linux", size: "1MiB", content: { type: "ext4", mount: "/a" } };
    expect(fstab(storageOf([plain, root]), "s")).toMatch(/ \/a ext4 defaults 0 2\n/);
  });
});

describe("what is no ext4 in a partition", () => {
  const lines = (storage: Parameters<typeof fstab>[0]) => fstab(storage, "s").trim().split("\n");

  it("is found by the pool's UUID, the mapping of a random key, or the swap's own UUID, and is not repaired by fsck", () => {
    const swap = (name: string, more: object) => holding({ type: "swap", ...more }, "64MiB", name);
    const storage = storageOf(
      [
        swap("a", { randomKey: "r", priority: 0 }),
        swap("b", { uuid: keptUuid }),
        swap("c", {}),
        holding({ type: "btrfs-member", pool: "p" }, "64MiB", "d"),
        holding({ type: "btrfs-member", pool: "q" }, "64MiB", "e"),
        { ...root, content: { type: "xfs", mount: "/" } },
      ],
      {},
    );
    const pool = (mount: string) => ({ mount, data: "single", metadata: "single" });
    expect(lines(Storage.parse({ ...storage, pools: { p: pool("/p"), q: pool("/q") } }))).toEqual([
      `UUID=${filesystemUuid("s", "system", "root")} / xfs defaults 0 0`,
      `UUID=${contentUuid("s", "filesystem", "pool:", "p")} /p btrfs defaults 0 0`,
      `UUID=${contentUuid("s", "filesystem", "pool:", "q")} /q btrfs defaults 0 0`,
      "/dev/mapper/r none swap pri=0 0 0",
      `UUID=${keptUuid} none swap defaults 0 0`,
      `UUID=${contentUuid("s", "swap", "system", "c")} none swap defaults 0 0`,
    ]);
  });
});

describe("fstabField", () => {
  it("keeps one field one field", () => {
    expect(fstabField("a b\tc\nd\\e#f")).toBe("a\\040b\\011c\\012d\\134e\\043f");
    expect(fstabField("/plain-path_1.2")).toBe("/plain-path_1.2");
  });
});
