import { disk, esp, f2fs, gpt, partition, root, swap } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** Data on f2fs, as on an eMMC or SD card; sizes by share and bounds. The cloud kernel knows no f2fs. */
export default layout("f2fs-data", {
  kernel: "linux-image-amd64",
  storage: {
    disks: {
      system: disk({
        match: { serial: "F2FS-DATA-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          root({ size: { min: "1536MiB", max: "20GiB" } }),
          partition({
            name: "swap",
            type: "linux-swap",
            size: "4%",
            content: swap({ randomKey: "swap_random" }),
          }),
          partition({
            name: "data",
            type: "linux",
            size: "20%",
            align: "4MiB",
            content: f2fs({ mount: "/srv", label: "data" }),
          }),
        ),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/srv", "f2fs")],
});
