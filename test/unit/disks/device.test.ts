import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findDevice, openDevice, showDevice } from "../../../src/disks/device.ts";
import { mib } from "../../helpers/builders/storage.ts";
import { kernelDisks } from "../../helpers/fakes/kernel-disks.ts";

const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const bare = uuid.replaceAll("-", "");

const dm = (name: string, origin: string) => ({ "dm/name": name, "dm/uuid": origin });

describe("findDevice", () => {
  it("finds a LUKS volume by name and origin, with its size", async () => {
    const sources = kernelDisks({
      sda: {},
      "dm-3": {
        ...{ ...dm("crypt", `CRYPT-LUKS2-${bare}-crypt`), size: "4096" },
        "queue/logical_block_size": "4096",
      },
    });
    expect(await findDevice({ luks: { name: "crypt", uuid } }, sources)).toEqual({
      path: join(sources.dev, "mapper/crypt"),
      kernelName: "dm-3",
      sizeBytes: 4096 * 512,
      sectorSize: 4096,
    });
    expect(await findDevice({ luks: { name: "other", uuid } }, sources)).toBeUndefined();
  });

  it("refuses a mapping of that name that is something else", async () => {
    const other = { luks: { name: "crypt", uuid: uuid.replace("2f", "00") } };
    const sources = kernelDisks({
      "dm-0": dm("crypt", `CRYPT-LUKS2-${bare}-crypt`),
      "dm-1": dm("vg-root", "mpath-1"),
    });
    await expect(findDevice(other, sources)).rejects.toThrow(
      "/mapper/crypt is there, and is not LUKS volume crypt",
    );
    await expect(findDevice({ volume: { group: "vg", name: "root" } }, sources)).rejects.toThrow(
      "/mapper/vg-root is there, and is not volume vg/root",
    );
  });

  it("finds a volume by its group's name and its own", async () => {
    const sources = kernelDisks({ "dm-0": dm("vg-home", "LVM-x"), "dm-1": dm("vg-root", "LVM-y") });
    const found = await findDevice({ volume: { group: "vg", name: "root" } }, sources);
    expect(found).toMatchObject({
      path: join(sources.dev, "mapper/vg-root"),
      kernelName: "dm-1",
      sizeBytes: mib,
    });
  });

  it("finds an array by its UUID, whatever the kernel calls it and however it is written", async () => {
    const sources = kernelDisks({
      md126: { "md/uuid": uuid.replace("2f", "00") },
      md127: { "md/uuid": uuid },
    });
    const colons = bare.replace(/(.{8})(?=.)/g, "$1:");
    expect(await findDevice({ array: { name: "root", uuid: colons } }, sources)).toMatchObject({
      path: join(sources.dev, "md127"),
    });
    expect(
      await findDevice({ array: { name: "root", uuid: bare.replace("2f", "01") } }, sources),
    ).toBeUndefined();
  });

  it("finds no array among devices that are none", async () => {
    const sources = kernelDisks({ vda: {}, "dm-0": dm("root", "LVM-x") });
    expect(await findDevice({ array: { name: "root", uuid } }, sources)).toBeUndefined();
  });

  it("finds a disk and a partition of it, with the disk's sectors", async () => {
    const size = String(100 * 2048);
    const part = { "vda1/partition": "1", "vda1/start": "2048", "vda1/size": "4096" };
    const sources = kernelDisks({ vda: { size, serial: "S", "queue/logical_block_size": "4096", ...part } });
    const disk = { name: "system", serial: "S", sizeBytes: 100 * mib };
    expect(await findDevice({ disk }, sources)).toEqual({
      path: join(sources.dev, "vda"),
      kernelName: "vda",
      sectorSize: 4096,
      sizeBytes: 100 * mib,
    });
    const partition = { disk, number: 1, startBytes: mib, sizeBytes: 2 * mib };
    expect(await findDevice({ partition }, sources)).toEqual({
      path: join(sources.dev, "vda1"),
      kernelName: "vda1",
      sectorSize: 4096,
      sizeBytes: 2 * mib,
    });
  });
});

describe("openDevice", () => {
  const crypt = { luks: { name: "crypt", uuid } };
  const open = dm("crypt", `CRYPT-LUKS2-${bare}-crypt`);

  it("gives what is there, and refuses what is not", async () => {
    expect((await openDevice(crypt, kernelDisks({ "dm-0": open }))).kernelName).toBe("dm-0");
    await expect(openDevice(crypt, kernelDisks({}))).rejects.toThrow(
      `LUKS volume crypt (${uuid}) is not there`,
    );
  });

  it("refuses what may not be written", async () => {
    const sources = kernelDisks({ "dm-0": open });
    rmSync(join(sources.dev, "mapper/crypt"));
    mkdirSync(join(sources.dev, "mapper/crypt"));
    await expect(openDevice(crypt, sources)).rejects.toThrow(/neither a regular file nor a block device/);
  });
});

describe("showDevice", () => {
  it("calls a device as the definition does", () => {
    expect(showDevice({ volume: { group: "vg", name: "root" } })).toBe("volume vg/root");
    expect(showDevice({ luks: { name: "c", uuid } })).toBe(`LUKS volume c (${uuid})`);
    expect(showDevice({ array: { name: "md", uuid } })).toBe(`array md (${uuid})`);
    const disk = { name: "system", serial: "S", sizeBytes: 1 };
    expect(showDevice({ disk })).toBe("disk system");
    expect(showDevice({ partition: { disk, number: 3, startBytes: 1, sizeBytes: 1 } })).toBe(
      "partition 3 of disk system",
    );
  });
});
