import { btrfs, disk, esp, gpt, partition } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** One btrfs, compressed, with a subvolume for each part of the system. */
export default layout("btrfs-subvolumes", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "BTRFS-SUB-1" },
        imageSize: "2GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({
            name: "root",
            type: "linux-root",
            size: "rest",
            content: btrfs({
              label: "system",
              compression: "zstd:3",
              subvolumes: {
                "@root": { mount: "/" },
                "@home": { mount: "/home", options: ["nodev"] },
                "@log": { mount: "/var/log", options: ["nodev", "noexec"] },
              },
            }),
          }),
        ),
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "btrfs"), mounted("/home", "btrfs"), mounted("/var/log", "btrfs")],
});
