import { btrfsMember, disk, esp, gpt, partition, pool, vfat } from "imgbuild";
import { layout, mounted } from "../common.ts";

/** btrfs over two disks, every block on both. The second disk has a partition of the ESP's size, for a copy by hand. */
export default layout("btrfs-mirror", {
  storage: {
    disks: {
      first: disk({
        match: { serial: "BTRFS-MIR-1" },
        imageSize: "2GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({ name: "root", type: "linux-root", size: "rest", content: btrfsMember("system") }),
        ),
      }),
      second: disk({
        match: { serial: "BTRFS-MIR-2" },
        imageSize: "2GiB",
        table: gpt(
          partition({
            name: "boot",
            type: "xbootldr",
            size: "192MiB",
            content: vfat({ mount: "/boot/efi" }),
          }),
          partition({ name: "root", type: "linux-root", size: "rest", content: btrfsMember("system") }),
        ),
      }),
    },
    pools: {
      system: pool({ subvolumes: { "@": { mount: "/" }, "@srv": { mount: "/srv" } }, compression: "zstd" }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "btrfs"), mounted("/srv", "btrfs")],
});
