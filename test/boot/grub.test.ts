import { describe, expect, it } from "vitest";
import { bootCode, bootCodeBytes, embeddedConfig, grubMenu, placedCore } from "../../src/boot/grub.ts";

describe("bootCode", () => {
  it("names the core image's first sector, believes the drive number, and ends before the partition table", () => {
    const image = Buffer.alloc(512, 0x11);
    const code = bootCode(image, 1024 * 1024);
    expect(code.length).toBe(bootCodeBytes);
    expect(code.readBigUInt64LE(0x5c)).toBe(2048n);
    expect(code.readUInt16LE(0x66)).toBe(0x9090);
    expect(image.every((byte) => byte === 0x11)).toBe(true);
  });

  it("refuses an image that is no sector", () => {
    expect(() => bootCode(Buffer.alloc(511), 1024 * 1024)).toThrow(/511 bytes instead of 512/);
  });
});

describe("placedCore", () => {
  it("tells the first sector where the second is, and fills the last", () => {
    const core = Buffer.alloc(1300, 0x22);
    const placed = placedCore(core, 1024 * 1024, 1024 * 1024);
    expect(placed.length).toBe(1536);
    expect(placed.readBigUInt64LE(512 - 12)).toBe(2049n);
    expect(placed.subarray(512, 1300).equals(core.subarray(512))).toBe(true);
    expect(placed.subarray(1300).every((byte) => byte === 0)).toBe(true);
  });

  it("refuses a core image larger than its partition", () => {
    expect(() => placedCore(Buffer.alloc(2048), 1024 * 1024, 1024)).toThrow(/does not fit/);
  });
});

describe("grubMenu", () => {
  const options = {
    rootUuid: "u-u-i-d",
    cmdline: ["root=UUID=u-u-i-d", "ro"],
    timeoutSeconds: 3,
    title: "web",
  };

  it("follows the links that kernel updates move, and uses the serial port of the command line", () => {
    const menu = grubMenu({ ...options, consoles: ["tty0", "ttyS1,9600"] });
    expect(menu).toContain("serial --unit=1 --speed=9600\n");
    expect(menu).toContain("set timeout=3\n");
    expect(menu).toContain("linux /vmlinuz root=UUID=u-u-i-d ro\n  initrd /initrd.img\n");
    expect(menu).toContain("linux /vmlinuz.old root=UUID=u-u-i-d ro\n");
  });

  it("leaves the serial port alone where there is none", () => {
    expect(grubMenu({ ...options, consoles: ["tty0"] })).not.toContain("serial");
  });

  it("finds the root filesystem by UUID", () => {
    expect(embeddedConfig("u-u-i-d")).toBe("search.fs_uuid u-u-i-d root\nset prefix=($root)/boot/grub\n");
  });
});
