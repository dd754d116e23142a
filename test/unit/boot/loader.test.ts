import { describe, expect, it } from "vitest";
import { kernelInstallFiles, loaderConfig, loaderEntry, ukiPath } from "../../../src/boot/loader.ts";

describe("an entry of systemd-boot", () => {
  it("names kernel, initramfs and options of one version", () => {
    expect(loaderEntry("6.12.1-amd64", "web (Debian trixie)", ["root=UUID=u", "ro"])).toBe(
      [
        "title      web (Debian trixie)",
        "version    6.12.1-amd64",
        "sort-key   debian",
        "options    root=UUID=u ro",
        "linux      /debian/6.12.1-amd64/linux",
        "initrd     /debian/6.12.1-amd64/initrd.img-6.12.1-amd64",
        "",
      ].join("\n"),
    );
  });

  it("is made in the same place by kernel-install when apt brings another kernel", () => {
    const files = new Map(
      kernelInstallFiles(["root=UUID=u", "ro"], "bls").map(({ path, content }) => [path, content]),
    );
    const token = files.get("/etc/kernel/entry-token")!.trim();
    expect(loaderEntry("1", "t", [])).toContain(`linux      /${token}/1/linux`);
    expect(files.get("/etc/kernel/cmdline")).toBe("root=UUID=u ro\n");
    expect(files.get("/etc/kernel/install.conf")).toBe("layout=bls\nBOOT_ROOT=/efi\n");
    expect(kernelInstallFiles([], "bls", "/xbootldr").at(-1)?.content).toBe(
      "layout=bls\nBOOT_ROOT=/xbootldr\n",
    );
    expect(kernelInstallFiles([], "uki")).toContainEqual({
      path: "/etc/kernel/install.conf",
      content: "layout=uki\nBOOT_ROOT=/efi\nuki_generator=imgbuild\n",
    });
    expect(ukiPath("1-amd64")).toBe(`EFI/Linux/${token}-1-amd64.efi`);
  });

  it("waits as long as the definition says and cannot be edited at the console", () => {
    expect(loaderConfig(5).split("\n")).toEqual(["timeout 5", "editor no", "console-mode keep", ""]);
    expect(loaderConfig(0, "force")).toContain("\nsecure-boot-enroll force\n");
  });
});
