import { describe, expect, it } from "vitest";
import { fstab, fstabField } from "../../src/storage/fstab.ts";
import { filesystemUuid, vfatUuid, vfatVolumeId } from "../../src/storage/ids.ts";
import { bios, esp, keptDisk, keptUuid, root, storageOf } from "../helpers/storage.ts";

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

describe("fstabField", () => {
  it("keeps one field one field", () => {
    expect(fstabField("a b\tc\nd\\e#f")).toBe("a\\040b\\011c\\012d\\134e\\043f");
    expect(fstabField("/plain-path_1.2")).toBe("/plain-path_1.2");
  });
});
