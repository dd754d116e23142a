import { disk, esp, ext4, gpt, partition, volumeGroup } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** A volume group that stays, with one volume of it; the root beside it is made anew. */
export default layout("kept-volume", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "KEPT-VOLUME-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({
            name: "lvm",
            type: "linux-lvm",
            content: {
              type: "lvm-pv",
              group: "system",
              keep: { uuid: "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt" },
            },
          }),
        ),
      }),
    },
    volumeGroups: {
      system: volumeGroup({
        root: { size: "1280MiB", content: ext4({ mount: "/" }) },
        srv: { content: ext4({ mount: "/srv", keep: { uuid: "3c2b1a09-f8e7-46d5-b4c3-a29180706f5e" } }) },
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4"), mounted("/srv", "ext4")],
});
