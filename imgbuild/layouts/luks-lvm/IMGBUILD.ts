import { disk, esp, ext4, gpt, luks, lvmPv, partition, swap, volumeGroup } from "imgbuild";
import { diskKey, kdf, layout, mounted } from "../common.ts";

/** What most encrypted servers have: /boot open, all else in one LUKS volume, divided by LVM; a passphrase on the console. */
export default layout("luks-lvm", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "LUKS-LVM-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "272MiB" }),
          partition({ name: "boot", type: "linux", size: "192MiB", content: ext4({ mount: "/boot" }) }),
          partition({
            name: "crypt",
            type: "linux-luks",
            size: "rest",
            content: luks({ name: "crypt", key: "disk-key", discard: true, kdf, content: lvmPv("system") }),
          }),
        ),
      }),
    },
    volumeGroups: {
      system: volumeGroup({
        swap: { size: "128MiB", content: swap() },
        root: { size: "1536MiB", content: ext4({ mount: "/" }) },
        home: { size: "rest", content: ext4({ mount: "/home" }) },
      }),
    },
  },
  secrets: diskKey,
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4"), mounted("/home", "ext4")],
});
