import { describe, expect, it } from "vitest";
import { mountedAt, parseMountinfo } from "../../../src/disks/mountinfo.ts";

const text = [
  "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw",
  "30 22 0:45 /@home /mnt/a\\040b rw - btrfs /dev/vda2 rw,subvol=/@home",
  "31 22 254:3 / /mnt/a\\040b rw master:2 propagate_from:1 - xfs /dev/vda3 rw",
  "",
].join("\n");

describe("parseMountinfo", () => {
  it("reads a line with any number of optional fields, and undoes escapes", () => {
    expect(parseMountinfo(text)).toEqual([
      { device: "254:1", root: "/", point: "/", type: "ext4", source: "/dev/vda1", options: ["rw"] },
      {
        device: "0:45",
        root: "/@home",
        point: "/mnt/a b",
        type: "btrfs",
        source: "/dev/vda2",
        options: ["rw", "subvol=/@home"],
      },
      { device: "254:3", root: "/", point: "/mnt/a b", type: "xfs", source: "/dev/vda3", options: ["rw"] },
    ]);
  });

  it("passes over a line that is none, and takes one without its end for what it is", () => {
    expect(parseMountinfo("\n22 1\n22 1 254:1\n22 1 254:1 /\n22 1 254:1 / /a rw\n")).toEqual([
      { device: "254:1", root: "/", point: "/a", type: "", source: "", options: [] },
    ]);
  });

  it("tells what is seen at a path: the last one mounted there", () => {
    expect(mountedAt(parseMountinfo(text), "/mnt/a b//")?.type).toBe("xfs");
    expect(mountedAt(parseMountinfo(text), "/")?.type).toBe("ext4");
    expect(mountedAt(parseMountinfo(text), "/mnt")).toBeUndefined();
  });
});
