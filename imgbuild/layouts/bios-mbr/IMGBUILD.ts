import { disk, ext4, mbr, partition, swap } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** A machine of the old kind: BIOS, an MBR with an active partition, GRUB in the gap before it, a swap partition. */
export default layout("bios-mbr", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "BIOS-MBR-1" },
        imageSize: "2GiB",
        table: mbr(
          partition({ name: "swap", type: "linux-swap", size: "128MiB", content: swap({ label: "swap" }) }),
          partition({
            name: "root",
            type: "linux",
            size: "rest",
            active: true,
            content: ext4({ mount: "/", label: "root" }),
          }),
        ),
      }),
    },
  },
  boot: { firmware: ["bios"] },
  health: [mounted("/", "ext4")],
});
