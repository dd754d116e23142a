import { disk, esp, ext4, gpt, partition, root } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** A system made anew around a /home that stays, byte for byte, in its place on the same disk. */
export default layout("kept-home", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "KEPT-HOME-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          root({ size: "1536MiB" }),
          partition({
            name: "home",
            type: "linux-home",
            content: ext4({
              mount: "/home",
              keep: { uuid: "6d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" },
            }),
          }),
        ),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/home", "ext4")],
});
