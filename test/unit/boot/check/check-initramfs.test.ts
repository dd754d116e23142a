import { describe, expect, it } from "vitest";
import { checkInitramfs, initramfsContent } from "../../../../src/boot/check/check-initramfs.ts";
import type { Fail } from "../../../../src/util/fail.ts";

const listing = [
  ...[".", "init", "usr/bin/busybox", "usr/sbin/cryptsetup"],
  "usr/lib/modules/6.1/kernel/fs/ext4/ext4.ko.xz",
  "usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko",
  "usr/lib/modules/6.1/kernel/drivers/md/dm-crypt.ko.zst",
].join("\n");
const builtin = "kernel/drivers/base/loop.ko\nkernel/drivers/virtio/virtio-pci.ko\n";
const wanted = { version: "6.1", modules: ["ext4"], programs: [] as string[], cards: [] as string[] };
const check = (text: string, change: Partial<typeof wanted> = {}) =>
  checkInitramfs(initramfsContent(text, builtin), { ...wanted, ...change });
const without = (part: string) =>
  listing
    .split("\n")
    .filter((line) => !line.includes(part))
    .join("\n");

describe("checkInitramfs", () => {
  it("is content with modules packed or not, built in, and named with either stroke", () => {
    check(listing, {
      modules: ["ext4", "virtio_blk", "dm_crypt", "dm-crypt", "virtio_pci"],
      programs: ["cryptsetup"],
    });
    check(listing.replaceAll(/^usr/gm, "./usr"));
  });

  it.each([
    ["has no module for the root's filesystem", without("ext4"), {}, "the module ext4"],
    ["has no module of the disk", listing, { modules: ["ext4", "nvme"] }, "the module nvme"],
    ["reaches no disk at all", without("virtio_blk"), {}, "has no driver for any disk"],
    [
      "cannot open what the root lies on",
      listing,
      { programs: ["cryptsetup", "lvm"] },
      "what opens the root filesystem: lvm",
    ],
    [
      "reaches no network",
      listing,
      { cards: ["igb", "e1000e"] },
      "has no driver for any network card of this machine (igb, e1000e)",
    ],
    ["starts nothing", without("init"), {}, "holds no /init"],
    ["is empty", "", {}, "holds no /init"],
  ] as const)("refuses one that %s", (_what, text, change, message) => {
    expect(() => check(text, change as Partial<typeof wanted>)).toThrow(`the initramfs of 6.1`);
    expect(() => check(text, change as Partial<typeof wanted>)).toThrow(message);
  });

  it("is content with a driver of one of the machine's cards", () => {
    const igb = "usr/lib/modules/6.1/kernel/drivers/net/ethernet/intel/igb/igb.ko.xz";
    check(`${listing}\n${igb}`, { cards: ["igb", "cdc_ether"] });
  });

  it("is not taken in by a module whose name only ends alike", () => {
    expect(() => check(listing.replace("ext4.ko", "notext4.ko"))).toThrow("the module ext4");
  });

  it.each(["init", "usr/init", "sbin/init", "usr/sbin/init", "bin/init", "/init", "./init"])(
    "starts by %s",
    (path) => {
      check(listing.replace("\ninit\n", `\n${path}\n`));
    },
  );

  it.each(["etc/init", "initrd", "init.sh", "usr/lib/init", "xbin/init"])("does not start by %s", (path) => {
    expect(() => check(listing.replace("\ninit\n", `\n${path}\n`))).toThrow("holds no /init");
  });

  it("takes no directory and no other file for a module, and looks for no card where none is asked for", () => {
    const found = initramfsContent(
      "a/ext4.ko.d/x\nb/xfs.ko.xz.txt\nc/btrfs.ko\nd/README\n/e/vfat.ko.gz\n",
      "",
    );
    expect([...found.modules]).toEqual(["btrfs", "vfat"]);
    expect(found.paths.has("e/vfat.ko.gz")).toBe(true);
    checkInitramfs(initramfsContent(listing, ""), { version: "6.1", modules: [], programs: [] });
  });

  it("says all that is missing, and where to look", () => {
    expect(() => check(listing, { modules: ["nvme", "xfs"] })).toThrow("the module nvme, xfs");
    expect(() => check(listing, { programs: ["lvm", "mdadm"] })).toThrow(
      "opens the root filesystem: lvm, mdadm",
    );
    try {
      check("");
    } catch (error) {
      expect((error as Fail).hint).toContain("/etc/initramfs-tools");
    }
  });
});
