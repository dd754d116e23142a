import { describe, expect, it } from "vitest";
import {
  bootCode,
  bootCodeBytes,
  embeddedConfig,
  espConfig,
  grubMenu,
  placedCore,
} from "../../../src/boot/grub.ts";

const start = 2 ** 20;

describe("GRUB's boot code", () => {
  it("points to the core image's sector, believes the firmware's drive, and ends before the partition table", () => {
    const image = Buffer.alloc(512, 0xaa);
    const code = bootCode(image, start);
    expect(code.length).toBe(bootCodeBytes);
    expect(code.length).toBe(440);
    expect(code.readBigUInt64LE(0x5c)).toBe(2048n);
    expect(code.readUInt16LE(0x66)).toBe(0x9090);
    const changed = [...code.keys()].filter((at) => code[at] !== 0xaa);
    expect(changed).toEqual([0x5c, 0x5d, 0x5e, 0x5f, 0x60, 0x61, 0x62, 0x63, 0x66, 0x67]);
    expect(
      image.every((byte) => byte === 0xaa),
      "the given image stays",
    ).toBe(true);
  });

  it("is refused when it is not one sector", () => {
    for (const size of [0, 440, 511, 513])
      expect(() => bootCode(Buffer.alloc(size), start)).toThrow(
        `GRUB's boot.img has ${size} bytes instead of 512`,
      );
  });
});

describe("GRUB's core image", () => {
  it("is filled up to whole sectors and told where its second sector lies", () => {
    const core = Buffer.alloc(1300, 0x55);
    const placed = placedCore(core, start, 2 ** 20);
    expect(placed.length).toBe(1536);
    expect(placed.readBigUInt64LE(500)).toBe(2049n);
    expect(placed.subarray(0, 500).every((byte) => byte === 0x55)).toBe(true);
    // Length and segment of the block list are grub-mkimage's own.
    expect(placed.subarray(508, 1300).every((byte) => byte === 0x55)).toBe(true);
    expect(placed.subarray(1300).every((byte) => byte === 0)).toBe(true);
  });

  it("is refused when its partition is too small, and fits exactly", () => {
    expect(placedCore(Buffer.alloc(2048), start, 2048).length).toBe(2048);
    expect(() => placedCore(Buffer.alloc(2049), start, 2048)).toThrow(
      "GRUB's core image of 2049 bytes does not fit the 2048 bytes that it has on the disk",
    );
  });

  it("finds the filesystem of the menu by its UUID, whether /boot is one of its own or not", () => {
    expect(embeddedConfig({ uuid: "u-u", directory: "/boot", links: "" })).toBe(
      "search.fs_uuid u-u root\nset prefix=($root)/boot/grub\n",
    );
    const own = { uuid: "b-b", directory: "", links: "" };
    expect(embeddedConfig(own)).toBe("search.fs_uuid b-b root\nset prefix=($root)/grub\n");
    expect(espConfig(own)).toBe(`${embeddedConfig(own)}configfile $prefix/grub.cfg\n`);
  });
});

describe("GRUB's menu", () => {
  const options = {
    place: { uuid: "u-u", directory: "/boot", links: "" },
    cmdline: ["root=UUID=u-u", "ro"],
    consoles: ["tty0"],
    timeoutSeconds: 3,
    title: "web (Debian trixie)",
  };

  it("starts the present kernel and falls back to the one before", () => {
    const menu = grubMenu(options);
    expect(menu).toContain("set default=0\nset fallback=1\nset timeout=3\n");
    expect(menu).toContain("search --no-floppy --fs-uuid --set=root u-u\n");
    expect([...menu.matchAll(/^ {2}(?:linux|initrd) .*$/gm)].map(([line]) => line.trim())).toEqual([
      "linux /vmlinuz root=UUID=u-u ro",
      "initrd /initrd.img",
      "linux /vmlinuz.old root=UUID=u-u ro",
      "initrd /initrd.img.old",
    ]);
    expect(menu).toContain("terminal_output console\n");
    expect(menu).not.toContain("serial");
    const place = { uuid: "u-u", directory: "/@/boot", links: "/@" };
    expect(grubMenu({ ...options, place })).toContain(
      "  linux /@/vmlinuz.old root=UUID=u-u ro\n  initrd /@/initrd.img.old\n",
    );
    expect(embeddedConfig(place)).toContain("set prefix=($root)/@/boot/grub\n");
  });

  it("hands every word of the command line on as it is (F39)", () => {
    const cmdline = ["root=UUID=u-u", "memmap=64K$0x1869000", "a;b", "c#d", "e'f", "g{h}"];
    const menu = grubMenu({ ...options, cmdline, title: "it's web" });
    expect(menu).toContain(
      `  linux /vmlinuz root=UUID=u-u 'memmap=64K$0x1869000' 'a;b' 'c#d' 'e'\\''f' 'g{h}'\n`,
    );
    expect(menu).toContain("menuentry 'it'\\''s web' {\n");
  });

  it("is shown on every serial console too, where no firmware does that", () => {
    const menu = grubMenu({ ...options, consoles: ["tty0", "ttyS0", "ttyS1,9600n8"] });
    expect(menu.split("\n").slice(0, 10)).toEqual([
      "terminal_input console",
      "terminal_output console",
      'if [ "$grub_platform" = pc ]; then',
      "  serial --unit=0 --speed=115200",
      "  terminal_input --append serial_com0",
      "  terminal_output --append serial_com0",
      "  serial --unit=1 --speed=9600",
      "  terminal_input --append serial_com1",
      "  terminal_output --append serial_com1",
      "fi",
    ]);
  });
});
