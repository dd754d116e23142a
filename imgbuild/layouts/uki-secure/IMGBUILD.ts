import { commandSucceeds, disk, esp, gpt, readText, root } from "imgbuild";
import { layout, mounted } from "../common.ts";

/**
 * Firmware that starts nothing but what your own key has signed: the loader, and kernel, initramfs and command line as one. The key
 * stays with the operator, so new kernels come by deploys; `imgbuild test` signs with a key of its own.
 */
export default layout("uki-secure", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "UKI-SECURE-1" },
        imageSize: "2GiB",
        table: gpt(esp({ size: "272MiB" }), root()),
      }),
    },
  },
  secrets: { "secure-boot": { file: "../../../secrets/layout-secure-boot.age" } },
  boot: {
    firmware: ["uefi"],
    loader: "uki",
    secureBoot: { key: "secure-boot", certificate: readText("../../../secrets/layout-secure-boot.pem") },
  },
  health: [
    mounted("/efi", "vfat"),
    // What the kernel does when Secure Boot is on.
    commandSucceeds(["grep", "--fixed-strings", "--quiet", "[integrity]", "/sys/kernel/security/lockdown"]),
  ],
});
