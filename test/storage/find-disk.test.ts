import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { DiskFacts } from "../../src/schema/facts.ts";
import { type DiskSources, findDisk, identityOf } from "../../src/storage/find-disk.ts";
import { diskFacts } from "../helpers/storage.ts";
import { tempDir } from "../helpers/temp-dir.ts";

let sources: DiskSources;
beforeEach(() => {
  const dir = tempDir();
  sources = { sys: join(dir, "sys"), udev: join(dir, "udev") };
  mkdirSync(join(sources.sys, "block"), { recursive: true });
});

/** Puts files below a disk's directory of the fake /sys. */
function put(name: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(sources.sys, "block", name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${content}\n`);
  }
}

const virtio = { size: "8388608", serial: "SYS", dev: "254:0", "queue/logical_block_size": "512" };
const identity = { name: "system", serial: "SYS", sizeBytes: 8_388_608 * 512 };

describe("findDisk", () => {
  it("finds a virtio disk with its partitions in order and what is stacked upon it", async () => {
    put("vda", {
      ...virtio,
      "vda10/partition": "10",
      "vda10/start": "6144",
      "vda10/size": "2048",
      "vda2/partition": "2",
      "vda2/start": "4096",
      "vda2/size": "2048",
      "vda2/holders/dm-0/dev": "253:0",
      "holders/md0/dev": "9:0",
    });
    expect(await findDisk(identity, sources)).toEqual({
      kernelName: "vda",
      sectorSize: 512,
      partitions: [
        { kernelName: "vda2", number: 2, startBytes: 4096 * 512, sizeBytes: 2048 * 512 },
        { kernelName: "vda10", number: 10, startBytes: 6144 * 512, sizeBytes: 2048 * 512 },
      ],
      holders: ["md0", "dm-0"],
    });
  });

  it("finds a disk by names that a terminal would act on, in the form in which an inspection gave them (F43)", async () => {
    const odd = { serial: "S\x1b[2J\u202e", model: "M\x9b1A" };
    put("vda", { ...virtio, serial: odd.serial, "device/model": odd.model });
    const facts = DiskFacts.parse(diskFacts("vda", { ...odd, sizeBytes: identity.sizeBytes }));
    expect(facts.serial).toBe("S\\x1b[2J\\u{202e}");
    expect((await findDisk(identityOf("system", facts), sources)).kernelName).toBe("vda");
    await expect(findDisk({ ...identityOf("system", facts), serial: "other" }, sources)).rejects.toThrow(
      /is not there/,
    );
  });

  it("counts in units of 512 bytes on a disk of 4096-byte sectors", async () => {
    put("nvme0n1", {
      size: "8388608",
      "device/serial": "SYS ",
      wwid: "eui.1",
      "queue/logical_block_size": "4096",
    });
    put("nvme0n1", { "nvme0n1p1/partition": "1", "nvme0n1p1/start": "2048", "nvme0n1p1/size": "2048" });
    const found = await findDisk({ ...identity, wwn: "eui.1" }, sources);
    expect(found).toMatchObject({ kernelName: "nvme0n1", sectorSize: 4096 });
    expect(found.partitions[0]).toMatchObject({ kernelName: "nvme0n1p1", startBytes: 2 ** 20 });
  });

  it("finds a SCSI disk by the serial that udev wrote down", async () => {
    put("sda", { size: "8388608", dev: "8:0", "device/model": "QEMU HARDDISK   " });
    mkdirSync(sources.udev);
    writeFileSync(join(sources.udev, "b8:0"), "S:disk/x\nE:ID_SERIAL=QEMU_SYS\nE:ID_SERIAL_SHORT=SYS\n");
    expect((await findDisk({ ...identity, model: "QEMU HARDDISK" }, sources)).kernelName).toBe("sda");
  });

  it.each([
    ["another size", { size: "8388609" }],
    ["another serial", { serial: "SYS2" }],
    ["no serial", { serial: "" }],
  ])("does not take a disk of %s, and says what is there", async (_name, change) => {
    put("vda", { ...virtio, ...change });
    const error = await findDisk(identity, sources).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: "disk system (serial SYS, 4294967296 bytes) is not there",
      hint: expect.stringMatching(/^this machine has vda: serial \w+, \d+ bytes$/),
    });
  });

  it.each([
    ["wwn", { wwn: "eui.2" }],
    ["model", { model: "OTHER" }],
  ])("does not take a disk of another %s", async (_name, wanted) => {
    put("vda", { ...virtio, wwid: "eui.1", "device/model": "M" });
    await expect(findDisk({ ...identity, ...wanted }, sources)).rejects.toThrow(/is not there/);
  });

  it("refuses two that answer to the identity, and finds the right one when names are swapped", async () => {
    put("vda", { ...virtio, serial: "DATA" });
    put("vdb", virtio);
    expect((await findDisk(identity, sources)).kernelName).toBe("vdb");
    put("vdc", virtio);
    await expect(findDisk(identity, sources)).rejects.toThrow(/is there 2 times: vdb, vdc/);
  });

  it("passes over what is no disk", async () => {
    for (const name of ["loop0", "dm-0", "md0", "zram0", "sr0", "nbd0", "ram0", "fd0"]) put(name, virtio);
    await expect(findDisk(identity, sources)).rejects.toMatchObject({ hint: "this machine has no disks" });
  });

  it("passes over the hidden paths of NVMe multipath, which have serial and size of the disk they lead to", async () => {
    const path = { size: "8388608", "device/serial": "SYS", hidden: "1" };
    put("nvme0c0n1", path);
    put("nvme0c1n1", path);
    put("nvme0n1", { ...path, hidden: "0" });
    expect((await findDisk(identity, sources)).kernelName).toBe("nvme0n1");
  });

  it("refuses an identity that is only a size", async () => {
    put("vda", virtio);
    const { serial: _serial, ...vague } = identity;
    await expect(findDisk({ ...vague, model: "M" }, sources)).rejects.toThrow(/neither serial nor wwn/);
  });
});

describe("identityOf", () => {
  it("takes only what holds over a boot", () => {
    const facts = diskFacts("vda", { serial: "S", model: "M" });
    expect(identityOf("system", facts)).toEqual({
      name: "system",
      serial: "S",
      model: "M",
      sizeBytes: facts.sizeBytes,
    });
  });
});
