import { describe, expect, it } from "vitest";
import {
  embeddedSearch,
  ipxeScript,
  kernelWords,
  mediumMenu,
  networkMenu,
} from "../../../../src/operator/rescue/menu.ts";

const entries = [
  { hostname: "web", cmdline: ["console=tty0", "console=ttyS0,115200", "imgbuild.medium=aa"] },
  { hostname: "db", cmdline: ["console=ttyS1,9600", "imgbuild.medium=bb"] },
];
const volume = "IMGBUILD_0123456789ABCDEF";

describe("the menu of a medium", () => {
  it("has an entry for each definition, and starts the first by itself", () => {
    expect(mediumMenu(entries, volume)).toBe(`terminal_input console
terminal_output console
if [ "$grub_platform" = pc ]; then
  serial --unit=0 --speed=115200
  terminal_input --append serial_com0
  terminal_output --append serial_com0
fi
set default=0
set timeout=10
search --no-floppy --set=root --label IMGBUILD_0123456789ABCDEF

menuentry 'Rebuild web' {
  linux /imgbuild/base/kernel console=tty0 console=ttyS0,115200 imgbuild.medium=aa
  initrd /imgbuild/base/outer /imgbuild/base/squashfs /imgbuild/hosts/web/medium.cpio
}

menuentry 'Rebuild db' {
  linux /imgbuild/base/kernel console=ttyS1,9600 imgbuild.medium=bb
  initrd /imgbuild/base/outer /imgbuild/base/squashfs /imgbuild/hosts/db/medium.cpio
}
`);
  });

  it("is found by the medium's label under BIOS", () => {
    expect(embeddedSearch(volume)).toBe(
      "search.fs_label IMGBUILD_0123456789ABCDEF root\nset prefix=($root)/boot/grub\n",
    );
  });
});

describe("the kernel of a medium", () => {
  it("shows what it says on screen and serial port, with no dead man", () => {
    for (const consoles of [undefined, []])
      expect(kernelWords(consoles, "imgbuild.medium=aa")).toEqual(entries[0]!.cmdline);
  });

  it("takes the consoles of the definition where it names any", () => {
    expect(kernelWords(["ttyS1,9600"], "imgbuild.medium=bb")).toEqual(entries[1]!.cmdline);
  });
});

describe("the menus of the network", () => {
  it("fetch one initramfs a definition, which is whole", () => {
    const text = networkMenu(entries);
    expect(text).toContain("  linux /kernel console=tty0 console=ttyS0,115200 imgbuild.medium=aa\n");
    expect(text).toContain("  initrd /hosts/web/initrd\n");
    expect(text).not.toContain("search");
  });

  it("are a script for iPXE too, with paths relative to it", () => {
    expect(ipxeScript(entries)).toBe(`#!ipxe
menu Rescue
item web Rebuild web
item db Rebuild db
choose --timeout 10000 --default web host || exit
goto \${host}

:web
kernel kernel initrd=initrd console=tty0 console=ttyS0,115200 imgbuild.medium=aa
initrd --name initrd hosts/web/initrd
boot

:db
kernel kernel initrd=initrd console=ttyS1,9600 imgbuild.medium=bb
initrd --name initrd hosts/db/initrd
boot
`);
  });
});
