import { biosBoot, disk, ext4, gpt, partition, root } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** BIOS from a GPT: GRUB in a partition of its own, and so is /var. */
export default layout("bios-gpt", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "BIOS-GPT-1" },
        imageSize: "2GiB",
        table: gpt(
          biosBoot(),
          root({ size: "1536MiB" }),
          partition({
            name: "var",
            type: "linux-var",
            size: "rest",
            content: ext4({ mount: "/var", options: ["nodev", "nosuid"] }),
          }),
        ),
      }),
    },
    tmpfs: { "/tmp": { size: "25%", options: ["mode=1777", "nosuid", "nodev"] } },
  },
  boot: { firmware: ["bios"] },
  health: [mounted("/var", "ext4"), mounted("/tmp", "tmpfs")],
});
