import { commandSucceeds, disk, esp, ext4, gpt, partition, root, rootVerity } from "imgbuild";
import { layout, mounted } from "../common.ts";

/**
 * A root that cannot be changed, neither while it runs nor by writing to its disk: each block is checked when it is read, by a hash that
 * the unified kernel image carries. /var is a filesystem of its own, and keeps what is changed in /etc.
 */
export default layout("verity-root", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "VERITY-ROOT-1" },
        imageSize: "2304MiB",
        table: gpt(
          esp({ size: "272MiB" }),
          root({ size: "1GiB", verity: true }),
          rootVerity({ size: "16MiB" }),
          partition({ name: "var", type: "linux-var", size: "rest", content: ext4({ mount: "/var" }) }),
        ),
      }),
    },
    overlays: {
      "/etc": { upper: "/var/lib/overlays/etc" },
      "/root": { upper: "memory" },
    },
  },
  boot: { firmware: ["uefi"], loader: "uki" },
  health: [
    mounted("/var", "ext4"),
    mounted("/etc", "overlay"),
    commandSucceeds(["veritysetup", "status", "root"]),
    commandSucceeds(["sh", "-c", "! touch /usr/x"]),
    commandSucceeds(["sh", "-c", "touch /etc/x /root/x /var/x && rm /etc/x /root/x /var/x"]),
  ],
});
