import { describe, expect, it } from "vitest";
import type { Storage } from "../../src/schema/storage.ts";
import { checkStorage, filesystemOf, mountsOf, writtenDisks } from "../../src/storage/check-storage.ts";
import { bios, esp, keptDisk, keptUuid, root, storageOf } from "../helpers/storage.ts";

const both = ["uefi", "bios"] as const;
const other = (partitions: readonly object[]) => ({
  match: { serial: "OTHER" },
  table: { type: "gpt", partitions },
});
const linux = (mount: string) => ({
  name: "x",
  type: "linux",
  size: "1MiB",
  content: { type: "ext4", mount },
});

describe("checkStorage", () => {
  it("accepts a disk for both kinds of firmware, with a kept one", () => {
    expect(() =>
      checkStorage(storageOf([bios, esp, root], { disks: { data: keptDisk } }), both),
    ).not.toThrow();
  });

  it("asks only for what the firmware needs", () => {
    expect(() => checkStorage(storageOf([esp, root]), ["uefi"])).not.toThrow();
    expect(() => checkStorage(storageOf([bios, root]), ["bios"])).not.toThrow();
  });

  it.each<[string, Storage, RegExp]>([
    ["no root", storageOf([bios, esp, linux("/srv")]), /no filesystem is mounted at \//],
    ["two of one mount point", storageOf([bios, esp, linux("/"), root]), /two filesystems are mounted at \//],
    [
      "a mount point that is kept and made",
      storageOf([bios, esp, linux("/srv"), root], { disks: { data: keptDisk } }),
      /mounted at \/srv/,
    ],
    [
      "a root that is kept",
      storageOf([bios, esp], {
        disks: { data: { ...keptDisk, keep: [{ ...keptDisk.keep[0], mount: "/" }] } },
      }),
      /root filesystem is on a disk that is kept/,
    ],
    ["no ESP", storageOf([bios, root]), /UEFI firmware needs an ESP/],
    ["no bios-boot", storageOf([esp, root]), /BIOS firmware needs a bios-boot partition/],
    [
      "bios-boot on another disk than the root",
      storageOf([esp, root], { disks: { other: other([bios]) } }),
      /on the disk of the root filesystem, system/,
    ],
    [
      "two ESPs",
      storageOf([bios, esp, root], {
        disks: { other: other([{ ...esp, content: { ...esp.content, mount: "/efi" } }]) },
      }),
      /\/efi|more than one/,
    ],
    [
      "vfat elsewhere",
      storageOf([bios, { ...esp, content: { type: "vfat", mount: "/boot" } }, root]),
      /only the ESP at \/efi/,
    ],
    [
      "ext4 in an ESP",
      storageOf([bios, { ...esp, content: { type: "ext4", mount: "/efi" } }, root]),
      /`esp` holds vfat/,
    ],
    [
      "a filesystem in bios-boot",
      storageOf([{ ...bios, content: { type: "ext4", mount: "/b" } }, esp, root]),
      /`bios-boot` holds no filesystem/,
    ],
    [
      "a swap file on another filesystem",
      storageOf([bios, esp, root], { swapFile: { path: "/efi/swap", size: "1MiB" } }),
      /not a file of the root filesystem/,
    ],
    [
      "a swap file that is the root",
      storageOf([bios, esp, root], { swapFile: { path: "/", size: "1MiB" } }),
      /not a file of the root filesystem/,
    ],
  ])("refuses %s", (_name, storage, message) => {
    expect(() => checkStorage(storage, both)).toThrow(message);
  });
});

describe("what lies where", () => {
  const storage = storageOf([linux("/srv/a/b"), esp, root], {
    disks: { data: keptDisk, aa: other([linux("/srv-2")]) },
  });

  it("mounts parents first", () => {
    expect(mountsOf(storage).map(({ mount }) => mount)).toEqual(["/", "/efi", "/srv", "/srv-2", "/srv/a/b"]);
    expect(mountsOf(storage)[2]).toMatchObject({ kept: true, uuid: keptUuid, partition: undefined });
  });

  it("names written disks in a fixed order", () => {
    expect(writtenDisks(storage).map(([name]) => name)).toEqual(["aa", "system"]);
  });

  it.each([
    ["/etc/fstab", "/", "/etc/fstab"],
    ["/srv", "/srv", "/"],
    ["/srv/x", "/srv", "/x"],
    ["/srv-2/x", "/srv-2", "/x"],
    ["/srv-22/x", "/", "/srv-22/x"],
    ["/srv/a/b/c", "/srv/a/b", "/c"],
    ["/srv/a", "/srv", "/a"],
  ])("finds %s on %s as %s", (path, mount, inner) => {
    expect(filesystemOf(storage, path)).toMatchObject({ on: { mount }, inner });
  });
});
