import { describe, expect, it } from "vitest";
import { bootFiles, bootPackages, certificateFiles } from "../../../src/boot/packages.ts";
import type { SpecInput } from "../../../src/schema/spec.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";

const certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
const own = { key: "sb", certificate };
const both = ["systemd-boot", "systemd-boot-efi"];

function spec(boot: SpecInput["boot"], path?: string) {
  return serverSpec({ boot, secrets: { sb: { file: "sb.age", ...(path === undefined ? {} : { path }) } } });
}

describe("bootPackages", () => {
  it.each([
    [{ firmware: ["uefi"] }, both],
    [{ firmware: ["bios"] }, []],
    [{}, both],
    [{ loader: "uki" }, both],
    [{ loader: "grub" }, ["grub-efi-amd64-signed"]],
    [{ loader: "grub", firmware: ["bios"] }, []],
    [{ loader: "grub", secureBoot: "debian" }, ["grub-efi-amd64-signed", "shim-signed"]],
    [{ secureBoot: "debian" }, [...both, "systemd-boot-efi-amd64-signed", "shim-signed"]],
    [{ loader: "uki", secureBoot: own }, both],
  ] as [SpecInput["boot"], string[]][])("for %j are %j", (boot, packages) => {
    expect(bootPackages(spec(boot))).toEqual(packages);
  });

  it("hold the signing tool where the new system has the key", () => {
    expect(bootPackages(spec({ secureBoot: own }, "/etc/sb.key"))).toEqual([...both, "sbsigntool"]);
  });
});

describe("bootFiles", () => {
  const files = (boot: SpecInput["boot"], path?: string) =>
    new Map(bootFiles(spec(boot, path), ["root=UUID=u"]).map((file) => [file.path, file]));

  it("let kernel-install go on with entries, or with unified images and the program that makes them", () => {
    expect([...files({}).keys()]).toEqual([
      "/etc/kernel/entry-token",
      "/etc/kernel/cmdline",
      "/etc/kernel/install.conf",
      "/etc/kernel/install.d/89-imgbuild.install",
      "/etc/kernel/postinst.d/zz-imgbuild-boot",
      "/etc/initramfs/post-update.d/zz-imgbuild-boot",
      "/etc/kernel/postrm.d/zz-imgbuild-boot",
      "/etc/systemd/system/systemd-boot-update.service.d/imgbuild-esp.conf",
      "/etc/systemd/system/systemd-boot-random-seed.service.d/imgbuild-esp.conf",
    ]);
    const uki = files({ loader: "uki" });
    expect(uki.get("/etc/kernel/install.conf")?.content).toContain("layout=uki\n");
    expect(uki.get("/usr/lib/imgbuild/make-uki")?.mode).toBe("0755");
  });

  it("sign where the key is, say so where it is not, and let no path be read as shell", () => {
    const signs = files({ secureBoot: own }, "/etc/it's $HOME/sb.key");
    expect(signs.get("/usr/lib/imgbuild/sign-efi")?.content).toContain("key='/etc/it'\\''s $HOME/sb.key'\n");
    expect([...signs.keys()]).toContain("/etc/kernel/install.d/91-imgbuild-sign.install");
    expect(files({ secureBoot: own }).get("/usr/lib/imgbuild/sign-efi")?.content).toContain("key=''\n");
    expect([...files({ loader: "uki", secureBoot: own }).keys()]).not.toContain(
      "/etc/kernel/install.d/91-imgbuild-sign.install",
    );
  });

  it("bring Debian's GRUB and shim to the ESP after apt, shim last", () => {
    const copies = (boot: SpecInput["boot"]) =>
      [
        ...(files(boot).get("/usr/lib/imgbuild/update-loaders")?.content ?? "").matchAll(
          /^put (\S+) (\S+)$/gm,
        ),
      ].map(([, from, to]) => `${from?.split("/").at(-1)} ${to}`);
    expect(copies({ loader: "grub" })).toEqual([
      "grubx64.efi.signed EFI/debian/grubx64.efi",
      "grubx64.efi.signed EFI/BOOT/BOOTX64.EFI",
    ]);
    expect(copies({ loader: "grub", secureBoot: "debian" }).slice(-2)).toEqual([
      "shimx64.efi.signed EFI/debian/shimx64.efi",
      "shimx64.efi.signed EFI/BOOT/BOOTX64.EFI",
    ]);
    expect(copies({ secureBoot: "debian" })).toContain("systemd-bootx64.efi.signed EFI/BOOT/grubx64.efi");
  });

  it("are none for BIOS, whose menu follows links", () => {
    expect(files({ firmware: ["bios"] }).size).toBe(0);
    expect(certificateFiles(spec({ firmware: ["bios"] }))).toEqual([]);
    expect(certificateFiles(spec({ secureBoot: own }))).toEqual([
      { path: "/etc/kernel/secure-boot-certificate.pem", content: `${certificate}\n` },
    ]);
  });
});
