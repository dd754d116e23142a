import { commandSucceeds, disk, esp, gpt, root, xbootldr } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** A small ESP with only the loader, as when another system shares it; kernels and entries are on a partition beside it. */
export default layout("xbootldr", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "XBOOTLDR-1" },
        imageSize: "2GiB",
        table: gpt(esp({ size: "40MiB" }), xbootldr({ size: "192MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [
    mounted("/efi", "vfat"),
    mounted("/xbootldr", "vfat"),
    commandSucceeds(["test", "-e", "/xbootldr/loader/entries.srel"]),
    commandSucceeds(["test", "!", "-e", "/efi/debian"]),
  ],
});
