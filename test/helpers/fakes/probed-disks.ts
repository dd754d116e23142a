import { parseDisks } from "../../../src/operator/inspect/inspect-disks.ts";
import type { DiskFacts } from "../../../src/schema/facts.ts";

type Sections = Readonly<Record<"disks" | "disk-links" | "blkid" | "multipath", string>>;

/** What the probe prints of a disk; the rest as most disks have it. */
function disk(name: string, dev: string, sectors: number, fields: Readonly<Record<string, string>> = {}) {
  const given = { "sector-size": "512", removable: "0", "read-only": "0", ...fields };
  const lines = [`disk ${name}`, `dev ${dev}`, `sectors ${sectors}`];
  for (const key of [
    "sector-size",
    "removable",
    "read-only",
    "serial",
    "udev-serial",
    "wwn",
    "model",
    "holder",
  ])
    lines.push(`${key} ${given[key as keyof typeof given] ?? ""}`);
  return lines.join("\n");
}

/** A droplet: virtio disks without serial, model or anything in by-id; the second one brings cloud-init its configuration. */
export const digitalOcean: Sections = {
  disks: [
    disk("vda", "252:0", 52_428_800),
    "part vda1\npart-dev 252:1\npart-start 262144\npart-sectors 52166623",
    "part vda14\npart-dev 252:14\npart-start 2048\npart-sectors 6144",
    "part vda15\npart-dev 252:15\npart-start 8192\npart-sectors 253952",
    disk("vdb", "252:16", 964, { "read-only": "1" }),
  ].join("\n"),
  "disk-links": [
    "by-path/pci-0000:00:06.0 ../../vda",
    "by-path/pci-0000:00:06.0-part1 ../../vda1",
    "by-path/pci-0000:00:07.0 ../../vdb",
    "by-path/virtio-pci-0000:00:06.0 ../../vda",
    "by-path/virtio-pci-0000:00:07.0 ../../vdb",
  ].join("\n"),
  blkid: [
    "DEVNAME=/dev/vda\nPTUUID=5f3c2a1e-8f0b-4c55-9d0e-0a6b8f7c1d22\nPTTYPE=gpt\n",
    "DEVNAME=/dev/vda1\nUUID=c1a7e0d4-5b62-4f0e-8f1d-2f6a9b3c7e10\nTYPE=ext4\nPARTUUID=x\n",
    "DEVNAME=/dev/vdb\nUUID=2024-01-01-00-00-00-00\nLABEL=config-2\nTYPE=iso9660\n",
  ].join("\n"),
  multipath: "",
};

/** A cloud server on QEMU's SCSI: a serial it has, of its slot, and a WWN that the kernel made of that. */
export const hetznerCloud: Sections = {
  disks: disk("sda", "8:0", 80_003_072, {
    "udev-serial": "drive-scsi0-0-0-0",
    wwn: "t10.QEMU    QEMU HARDDISK   drive-scsi0-0-0-0",
    model: "QEMU HARDDISK   ",
  }),
  "disk-links": [
    "by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0-0-0-0 ../../sda",
    "by-path/pci-0000:06:00.0-scsi-0:0:0:0 ../../sda",
  ].join("\n"),
  blkid: "DEVNAME=/dev/sda\nPTUUID=0b6b8f7c-8f0b-4c55-9d0e-5f3c2a1e1d22\nPTTYPE=gpt\n",
  multipath: "",
};

/** A disk of a storage network by two paths, which multipathd has put together. */
export const dmMultipath: Sections = {
  disks: ["sda 8:0", "sdb 8:16"]
    .map((one) => {
      const [name, dev] = one.split(" ");
      return disk(name!, dev!, 20_971_520, {
        "udev-serial": "6001405a1b2c3d4e5f60718293a4b5c6",
        wwn: "naa.6001405a1b2c3d4e5f60718293a4b5c6",
        model: "block01         ",
        holder: "dm-0",
      });
    })
    .join("\n"),
  "disk-links": [
    "by-path/pci-0000:05:00.0-fc-0x5006016844602198-lun-0 ../../sda",
    "by-path/pci-0000:06:00.0-fc-0x5006016044602198-lun-0 ../../sdb",
  ].join("\n"),
  blkid: "DEVNAME=/dev/sda\nTYPE=mpath_member\n\nDEVNAME=/dev/sdb\nTYPE=mpath_member\n",
  multipath: "dm-0 mpatha",
};

/** The same, with nothing that put them together. */
export const twoPaths: Sections = {
  ...dmMultipath,
  disks: dmMultipath.disks.replaceAll("holder dm-0", "holder "),
  blkid: "",
  multipath: "",
};

export function disksOf(sections: Sections): DiskFacts[] {
  return parseDisks(sections.disks, {
    ...{ blkid: sections.blkid, links: sections["disk-links"], multipath: sections.multipath },
    ...{ mountinfo: "", swaps: "", pvs: "" },
  });
}
