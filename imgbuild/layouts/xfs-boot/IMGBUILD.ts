import { disk, esp, ext4, gpt, partition, xfs } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** The root on xfs, /boot on a partition of its own. */
export default layout("xfs-boot", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "XFS-BOOT-1" },
        imageSize: "2GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({ name: "boot", type: "linux", size: "192MiB", content: ext4({ mount: "/boot" }) }),
          partition({
            name: "root",
            type: "linux-root",
            size: "rest",
            content: xfs({ mount: "/", label: "root" }),
          }),
        ),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "xfs"), mounted("/boot", "ext4")],
});
