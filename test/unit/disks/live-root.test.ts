import { describe, expect, it } from "vitest";
import { isLive } from "../../../src/disks/live-root.ts";

const disk = "27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw";
const at = (point: string, type: string, source: string, options = "rw") =>
  `30 1 0:25 / ${point} rw,relatime - ${type} ${source} ${options}`;

describe("a live system", () => {
  it.each([
    ["memory", [at("/", "tmpfs", "tmpfs")], true],
    ["a server's directory", [at("/", "nfs4", "192.0.2.1:/rescue")], true],
    ["an installed system", [disk, at("/tmp", "tmpfs", "tmpfs")], false],
    ["one of btrfs, whose device number is none", [at("/", "btrfs", "/dev/vda2")], false],
    [
      "an image under an overlay",
      [
        at("/run/live/rootfs", "squashfs", "/dev/loop0"),
        at("/", "overlay", "overlay", "rw,lowerdir=/run/live/rootfs/,upperdir=/run/o/rw"),
      ],
      true,
    ],
    [
      "layers that cannot be seen any more",
      [at("/", "overlay", "overlay", "rw,lowerdir=/squashfs,upperdir=/o/u")],
      true,
    ],
    [
      "an installed system under an overlay",
      [
        at("/media/root ro".replace(" ", "\\040"), "ext4", "/dev/vda1"),
        at("/", "overlay", "overlayroot", "rw,lowerdir=/media/root\\040ro,upperdir=/o/u"),
      ],
      false,
    ],
    [
      "a rescue system in which a disk is mounted",
      [at("/", "tmpfs", "tmpfs"), at("/mnt", "ext4", "/dev/vda1")],
      true,
    ],
    ["nothing that is known", [], false],
  ])("whose root is %s", (_name, lines, expected) => {
    expect(isLive(lines.join("\n"))).toBe(expected);
  });
});
