import { describe, expect, it } from "vitest";
import { parseDisks } from "../../../../src/operator/inspect/inspect-disks.ts";

const none = { blkid: "", mountinfo: "", swaps: "", pvs: "", multipath: "", links: "" };
const disks =
  "disk sda\ndev 8:0\nsectors 2048\npart sda1\npart-dev 8:1\npart-start 100\npart-sectors 200\ndisk sdb\ndev 8:16\nsectors 2048";

describe("parseDisks", () => {
  it("tells by which names udev knows a disk, and nothing of its partitions' names", () => {
    const links = [
      "by-id/ata-QEMU_1 ../../sda",
      "by-id/wwn-0x5 ../../sda",
      "by-id/ata-QEMU_1-part1 ../../sda1",
      "by-path/pci-0000:00:05.0-ata-1 ../../sda",
      "by-path/pci-0000:00:06.0 ../../sdb",
      "by-uuid/x ../../sdb",
    ].join("\n");
    expect(parseDisks(disks, { ...none, links })).toMatchObject([
      { name: "sda", byId: ["ata-QEMU_1", "wwn-0x5"], byPath: ["pci-0000:00:05.0-ata-1"] },
      { name: "sdb", byPath: ["pci-0000:00:06.0"] },
    ]);
  });

  it("names a virtio disk by its port where there is no udev to do so", () => {
    const bare = (device: string) => `disk vda\ndev 252:0\nsectors 2048\nserial \nsys-path ${device}`;
    const virtio = bare("/sys/devices/pci0000:00/0000:00:06.0/virtio2");
    expect(parseDisks(virtio, none)).toMatchObject([{ byPath: ["pci-0000:00:06.0"] }]);
    const links = "by-path/virtio-pci-0000:00:06.0 ../../vda";
    expect(parseDisks(virtio, { ...none, links })).toMatchObject([{ byPath: ["virtio-pci-0000:00:06.0"] }]);
    for (const other of [
      "",
      "/sys/devices/virtio-mmio/virtio0",
      "/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0",
    ])
      expect(parseDisks(bare(other), none)[0]).not.toHaveProperty("byPath");
  });

  it("tells a table's UUID, a partition's, and the volume group of a member, whole disk or partition", () => {
    const blkid = [
      "DEVNAME=/dev/sda\nPTUUID=aa-bb\nPTTYPE=gpt\n",
      "DEVNAME=/dev/sda1\nUUID=u1\nTYPE=LVM2_member\nPARTUUID=p1\n",
      "DEVNAME=/dev/sdb\nUUID=u2\nTYPE=LVM2_member\n",
    ].join("\n");
    const pvs = "  /dev/sda1|vg|id\n  /dev/sdb|vg|id\n";
    expect(parseDisks(disks, { ...none, blkid, pvs })).toMatchObject([
      {
        ...{ name: "sda", tableUuid: "aa-bb" },
        partitions: [{ name: "sda1", fsType: "LVM2_member", uuid: "u1", partUuid: "p1", group: "vg (id)" }],
      },
      { name: "sdb", fsType: "LVM2_member", uuid: "u2", group: "vg (id)" },
    ]);
    expect(parseDisks(disks, { ...none, blkid, pvs })[0]).not.toHaveProperty("fsType");
  });
});
