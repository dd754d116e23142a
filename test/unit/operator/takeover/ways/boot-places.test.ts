import { describe, expect, it } from "vitest";
import { parseBootPlaces } from "../../../../../src/operator/takeover/ways/boot-places.ts";

const disks = "disk vda\ndev 254:0\npart vda1\npart-dev 254:1\npart vda2\npart-dev 254:2";

describe("places for a boot entry", () => {
  it("have the filesystem that is seen there, and whether it is on a partition itself", () => {
    const mountinfo = [
      "22 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw",
      "23 22 254:1 / /boot rw - ext2 /dev/vda1 rw",
      "24 23 0:40 / /boot/efi rw - autofs systemd-1 rw",
      "25 24 254:2 / /boot/efi rw - vfat /dev/vda2 rw",
    ].join("\n");
    const text = [
      "grub /boot/grub",
      "df /dev/vda1 480618 100000 350000 23% /boot",
      "reads custom.cfg",
      "reads load_env",
      "grub /boot/grub2",
      "df /dev/mapper/vg-root 480618 100000 350000 23% /",
      "systemd-boot /boot/efi",
      "df /dev/vda2 480618 100000 1024 23% /boot/efi",
      "left 2048\t/boot/efi/imgbuild-takeover",
    ].join("\n");
    expect(parseBootPlaces(text, { mountinfo, disks })).toEqual([
      {
        ...{ loader: "grub", directory: "/boot/grub", fsType: "ext2", plain: true, freeMib: 341 },
        reads: ["custom.cfg", "load_env"],
      },
      { loader: "grub", directory: "/boot/grub2", fsType: "ext4", plain: false, freeMib: 341, reads: [] },
      // What an earlier deploy left there is removed before the next one puts its own.
      { loader: "systemd-boot", directory: "/boot/efi", fsType: "vfat", plain: true, freeMib: 3, reads: [] },
    ]);
  });

  it("are known to be there where nothing else is", () => {
    expect(parseBootPlaces("reads load_env\ngrub /boot/grub", { mountinfo: "", disks: "" })).toEqual([
      { loader: "grub", directory: "/boot/grub", fsType: "", plain: false, freeMib: 0, reads: [] },
    ]);
    expect(parseBootPlaces("", { mountinfo: "", disks })).toEqual([]);
  });
});
