import { describe, expect, it } from "vitest";
import { parseBlkid, parsePvs, refuseSpanning, type Seen } from "../../../src/disks/membership.ts";

const uuid = "c1a7e0d4-5b62-4f0e-8f1d-2f6a9b3c7e10";
const seen = (disk: string, more: Partial<Seen>): Seen => ({ disk, device: `${disk}1`, ...more });

describe("F34: refuseSpanning", () => {
  it.each<[string, Partial<Seen>, RegExp]>([
    ["an md array", { fsType: "linux_raid_member", uuid }, /vda1 .* is part of the md array c1a7/],
    ["a btrfs", { fsType: "btrfs", uuid }, /btrfs c1a7.*so is vdb1, which is not in the plan/],
    ["a ZFS pool", { fsType: "zfs_member", uuid: "1234567" }, /ZFS pool 1234567/],
    ["a volume group", { fsType: "LVM2_member", uuid, group: "vg (x)" }, /volume group vg \(x\)/],
  ])("refuses a disk that is a part of %s with a part elsewhere", (_name, held, message) => {
    expect(() => refuseSpanning([seen("vda", held), seen("vdb", held)], new Set(["vda"]))).toThrow(message);
    expect(() =>
      refuseSpanning([seen("vda", held), seen("vdb", held)], new Set(["vda", "vdb"])),
    ).not.toThrow();
    expect(() => refuseSpanning([seen("vda", held), seen("vdb", held)], new Set(["vdc"]))).not.toThrow();
  });

  it("lets filesystems be that merely look alike", () => {
    const ext4 = { fsType: "ext4", uuid };
    expect(() => refuseSpanning([seen("vda", ext4), seen("vdb", ext4)], new Set(["vda"]))).not.toThrow();
    const other = [seen("vda", { fsType: "btrfs", uuid }), seen("vdb", { fsType: "btrfs", uuid: "x" })];
    expect(() => refuseSpanning(other, new Set(["vda"]))).not.toThrow();
    const bare = [seen("vda", { fsType: "btrfs" }), seen("vdb", { fsType: "btrfs" })];
    expect(() => refuseSpanning(bare, new Set(["vda"]))).not.toThrow();
    const noGroup = { fsType: "LVM2_member", uuid, group: "" };
    expect(() =>
      refuseSpanning([seen("vda", noGroup), seen("vdb", noGroup)], new Set(["vda"])),
    ).not.toThrow();
  });
});

describe("what tools tell of members", () => {
  it("reads blkid's blocks", () => {
    const text = `DEVNAME=/dev/vda1\nUUID=${uuid}\nTYPE=ext4\nPARTUUID=p-1\n\nDEVNAME=/dev/vda\nPTUUID=t\\ 1\nPTTYPE=gpt\n\nDEVNAME=/dev/vdb\n`;
    expect([...parseBlkid(text)]).toStrictEqual([
      ["vda1", { fsType: "ext4", uuid, partUuid: "p-1" }],
      ["vda", { tableUuid: "t 1" }],
    ]);
  });

  it("takes of a device what blkid says of it, and no UUID without a type", () => {
    const text = [
      "DEVNAME=/dev/vda1\nPARTUUID=p-1\nUUID=x",
      "DEVNAME=/dev/vda2\nTYPE=swap",
      "DEVNAME=/dev/mapper/dev/odd\nTYPE=xfs\nUUID=y",
      "TYPE=ext4\nUUID=of-nothing",
    ];
    expect([...parseBlkid(text.join("\n\n"))]).toStrictEqual([
      ["vda1", { partUuid: "p-1" }],
      ["vda2", { fsType: "swap" }],
      ["mapper/dev/odd", { fsType: "xfs", uuid: "y" }],
    ]);
  });

  it("reads pvs' lines, and knows a member without a group", () => {
    const text = "  /dev/vda2|vg|abc-def\n  /dev/vdb||\n  /dev/vdc\n  [unknown]|vg|x\n";
    expect([...parsePvs(text)]).toEqual([["vda2", "vg (abc-def)"]]);
  });
});
