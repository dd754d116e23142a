import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type DiskSources, findDisk, identityOf } from "../../../src/disks/find-disk.ts";
import { DiskFacts } from "../../../src/schema/facts.ts";
import { diskFacts } from "../../helpers/builders/storage.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

let sources: DiskSources;
beforeEach(() => {
  const dir = tempDir();
  sources = { sys: join(dir, "sys"), udev: join(dir, "udev") };
  mkdirSync(join(sources.sys, "block"), { recursive: true });
  mkdirSync(sources.udev);
});

/** Puts files below a disk's directory of the fake /sys. */
function put(name: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(sources.sys, "block", name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${content}\n`);
  }
}

/** What udev wrote down of the device of that number. */
function udev(device: string, ...lines: string[]): void {
  writeFileSync(join(sources.udev, `b${device}`), `${lines.join("\n")}\n`);
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
    udev(
      "8:0",
      "S:disk/x",
      "E:ID_SERIAL=QEMU_SYS",
      "E:XID_SERIAL_SHORT=X",
      "E:ID_SERIAL_SHORT=SYS ",
      "E:A=b",
    );
    expect((await findDisk({ ...identity, model: "QEMU HARDDISK" }, sources)).kernelName).toBe("sda");
  });

  it("finds a disk without serial and WWN by its port, among others like it", async () => {
    const bare = { size: "8388608", "device/model": "M" };
    put("sda", { ...bare, dev: "8:0" });
    put("sdb", { ...bare, dev: "8:16" });
    put("sdc", bare);
    udev("8:0", "S:disk/by-path/pci-1-ata-1", "E:DEVLINKS=S:disk/by-path/pci-1-ata-9");
    udev("8:16", "S:disk/by-id/ata-M_1", "S:disk/by-path/pci-1-ata-2", "S:disk/by-path/pci-1-ata-2.0");
    const at = (path: string) => findDisk({ name: "system", path, sizeBytes: identity.sizeBytes }, sources);
    expect((await at("pci-1-ata-1")).kernelName).toBe("sda");
    expect((await at("pci-1-ata-2.0")).kernelName).toBe("sdb");
    await expect(at("pci-1-ata-9")).rejects.toThrow(
      "disk system (serial any, 4294967296 bytes) is not there",
    );
    await expect(at("pci-1-ata-3")).rejects.toMatchObject({
      hint: `this machine has ${["sda", "sdb", "sdc"].map((one) => `${one}: serial none, 4294967296 bytes`).join("; ")}`,
    });
  });

  it("does not mind spaces around what the identity names, nor a model that is no more shown", async () => {
    put("sda", { size: "8388608", "device/serial": "SYS", "device/wwid": "naa.1", "device/model": "M" });
    const spaced = { ...identity, serial: " SYS ", wwn: "naa.1 ", model: "M " };
    expect((await findDisk(spaced, sources)).kernelName).toBe("sda");
    put("sda", { "device/model": "" });
    expect(await findDisk(spaced, sources)).toMatchObject({ kernelName: "sda", sectorSize: 512 });
  });

  it("finds a disk by its WWN alone, and says in a refusal what two of one WWN are", async () => {
    put("sda", { size: "8388608", "device/wwid": "naa.1" });
    put("sdb", { size: "8388608" });
    const { serial: _serial, ...known } = { ...identity, wwn: "naa.1" };
    expect((await findDisk(known, sources)).kernelName).toBe("sda");
    put("sdb", { "device/wwid": "naa.1" });
    await expect(findDisk(known, sources)).rejects.toMatchObject({
      hint: "several paths lead to it: imgbuild does not deploy to multipath disks yet",
    });
  });

  it("says of a disk of no size and several serials what it has", async () => {
    put("vda", { serial: "A", "device/serial": "B" });
    await expect(findDisk(identity, sources)).rejects.toMatchObject({
      hint: "this machine has vda: serial A or B, 0 bytes",
    });
  });

  it("takes for partitions only what the kernel calls so", async () => {
    put("vda", {
      ...virtio,
      "vda1/partition": "1",
      "vda1/start": "2048",
      "vda1/size": "2048",
    });
    expect(await findDisk(identity, sources)).toMatchObject({
      partitions: [{ kernelName: "vda1", startBytes: 2 ** 20, sizeBytes: 2 ** 20 }],
      holders: [],
    });
  });

  it.each([
    ["another size", { size: "8388609" }],
    ["another serial", { serial: "SYS2" }],
    ["no serial", { serial: " " }],
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
    expect(identityOf("system", facts)).toStrictEqual({
      name: "system",
      serial: "S",
      model: "M",
      sizeBytes: facts.sizeBytes,
    });
  });

  it("takes the port only of a disk that has neither serial nor WWN", () => {
    const { sizeBytes } = diskFacts("sda");
    const of = (fields: Parameters<typeof diskFacts>[1]) => identityOf("d", diskFacts("sda", fields));
    const byPath = ["pci-1", "pci-2"];
    expect(of({ byPath })).toStrictEqual({ name: "d", path: "pci-1", sizeBytes });
    expect(of({ byPath, wwn: "naa.1" })).toStrictEqual({ name: "d", wwn: "naa.1", sizeBytes });
    expect(of({ byPath, serial: "S" })).toStrictEqual({ name: "d", serial: "S", sizeBytes });
    expect(of({})).toStrictEqual({ name: "d", sizeBytes });
  });
});
