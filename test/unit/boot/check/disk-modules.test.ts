import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diskModules, mountedSource } from "../../../../src/boot/check/disk-modules.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** As the kernel shows a disk with one partition behind a controller, and a mapping on that. */
function sys(): string {
  const root = tempDir();
  const module = (name: string) => join(root, "module", name);
  const drive = (path: string, name: string, builtin = false) => {
    mkdirSync(module(name), { recursive: true });
    if (!builtin) writeFileSync(join(module(name), "initstate"), "live\n");
    mkdirSync(join(root, path), { recursive: true });
    mkdirSync(join(root, "drivers", name), { recursive: true });
    symlinkSync(module(name), join(root, "drivers", name, "module"));
    symlinkSync(join(root, "drivers", name), join(root, path, "driver"));
  };
  const card = "devices/pci0/0000:00:02.0";
  drive("devices/pci0", "pcieportdrv", true);
  drive(card, "megaraid_sas");
  drive(`${card}/host0/target0/0:0:0:0`, "sd_mod");
  const disk = `${card}/host0/target0/0:0:0:0/block/sda`;
  mkdirSync(join(root, disk, "sda1"), { recursive: true });
  mkdirSync(join(root, "devices/virtual/block/dm-0/slaves"), { recursive: true });
  mkdirSync(join(root, "class/block"), { recursive: true });
  symlinkSync(join(root, disk, "sda1"), join(root, "class/block/sda1"));
  symlinkSync(join(root, "devices/virtual/block/dm-0"), join(root, "class/block/dm-0"));
  symlinkSync(join(root, disk, "sda1"), join(root, "devices/virtual/block/dm-0/slaves/sda1"));
  return root;
}

describe("diskModules", () => {
  it("names what drives a partition, from the disk up to its controller, also below a mapping, but not what is built in", async () => {
    const root = sys();
    expect(await diskModules("/dev/sda1", root)).toEqual(["megaraid_sas", "sd_mod"]);
    expect(await diskModules("/dev/dm-0", root)).toEqual(["megaraid_sas", "sd_mod"]);
  });

  it("names nothing for what is no block device", async () => {
    expect(await diskModules("/dev/none", sys())).toEqual([]);
  });
});

describe("mountedSource", () => {
  it("tells what is mounted at exactly that path", async () => {
    const table = join(tempDir(), "mounts");
    const lines = ["/dev/vda1 / ext4 rw 0 0", "/dev/vda2 /srv ext4 rw 0 0", "/dev/vdb1 /srv xfs rw 0 0"];
    writeFileSync(table, `${lines.join("\n")}\n`);
    expect(await mountedSource("/", table)).toBe("/dev/vda1");
    expect(await mountedSource("/srv", table)).toBe("/dev/vdb1");
    await expect(mountedSource("/srv/a", table)).rejects.toThrow("nothing is mounted at /srv/a");
  });
});
