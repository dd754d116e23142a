import { biosBoot, disk, esp, gpt, root } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** One disk that starts under BIOS and under UEFI. Swap in a file and, before that is touched, compressed in memory. */
export default layout("both-firmwares", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "BOTH-1" },
        imageSize: "2GiB",
        table: gpt(biosBoot(), esp({ size: "192MiB" }), root()),
      }),
    },
    swapFile: { size: "64MiB" },
    zram: { percent: 25 },
    binds: { "/srv/log": { from: "/var/log" } },
  },
  boot: { firmware: ["uefi", "bios"] },
  health: [mounted("/efi", "vfat")],
});
