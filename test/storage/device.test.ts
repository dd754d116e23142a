import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { findDevice, showDevice } from "../../src/storage/device.ts";
import { type MachinePaths, thisMachine } from "../../src/storage/find-disk.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const bare = uuid.replaceAll("-", "");

/** A machine with these block devices, each of these files of /sys. */
function sysOf(blocks: Record<string, Record<string, string>>): MachinePaths {
  const sys = tempDir();
  for (const [name, files] of Object.entries(blocks))
    for (const [path, text] of Object.entries({
      size: "2048",
      "queue/logical_block_size": "512",
      ...files,
    })) {
      const to = join(sys, "block", name, path);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, `${text}\n`);
    }
  return { ...thisMachine, sys };
}

const dm = (name: string, origin: string) => ({ "dm/name": name, "dm/uuid": origin });

describe("findDevice", () => {
  it("finds a LUKS volume by name and origin, with its size", async () => {
    const sys = sysOf({ sda: {}, "dm-3": { ...dm("crypt", `CRYPT-LUKS2-${bare}-crypt`), size: "4096" } });
    expect(await findDevice({ luks: { name: "crypt", uuid } }, sys)).toEqual({
      ...{ path: "/dev/mapper/crypt", kernelName: "dm-3", sizeBytes: 4096 * 512, sectorSize: 512 },
    });
    expect(await findDevice({ luks: { name: "other", uuid } }, sys)).toBeUndefined();
  });

  it("refuses a mapping of that name that is something else", async () => {
    const other = { luks: { name: "crypt", uuid: uuid.replace("2f", "00") } };
    const sys = sysOf({ "dm-0": dm("crypt", `CRYPT-LUKS2-${bare}-crypt`), "dm-1": dm("vg-root", "mpath-1") });
    await expect(findDevice(other, sys)).rejects.toThrow(
      "/dev/mapper/crypt is there, and is not LUKS volume crypt",
    );
    await expect(findDevice({ volume: { group: "vg", name: "root" } }, sys)).rejects.toThrow(
      "/dev/mapper/vg-root is there, and is not volume vg/root",
    );
  });

  it("finds a volume by its group's name and its own", async () => {
    const sys = sysOf({ "dm-0": dm("vg-home", "LVM-x"), "dm-1": dm("vg-root", "LVM-y") });
    const found = await findDevice({ volume: { group: "vg", name: "root" } }, sys);
    expect(found).toMatchObject({ path: "/dev/mapper/vg-root", kernelName: "dm-1" });
  });

  it("finds an array by its UUID, whatever the kernel calls it and however it is written", async () => {
    const sys = sysOf({ md126: { "md/uuid": uuid.replace("2f", "00") }, md127: { "md/uuid": uuid } });
    const colons = bare.replace(/(.{8})(?=.)/g, "$1:");
    expect(await findDevice({ array: { name: "root", uuid: colons } }, sys)).toMatchObject({
      path: "/dev/md127",
    });
  });
});

describe("showDevice", () => {
  it("calls a device as the definition does", () => {
    expect(showDevice({ volume: { group: "vg", name: "root" } })).toBe("volume vg/root");
    expect(showDevice({ luks: { name: "c", uuid } })).toBe(`LUKS volume c (${uuid})`);
    const disk = { name: "system", serial: "S", sizeBytes: 1 };
    expect(showDevice({ partition: { disk, number: 3, startBytes: 1, sizeBytes: 1 } })).toBe(
      "partition 3 of disk system",
    );
  });
});
