import { disk, esp, gpt, root } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** Kernel, initramfs and command line in one file on the ESP. */
export default layout("uki", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "UKI-1" },
        imageSize: "2GiB",
        table: gpt(esp({ size: "272MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi"], loader: "uki" },
  health: [mounted("/efi", "vfat")],
});
