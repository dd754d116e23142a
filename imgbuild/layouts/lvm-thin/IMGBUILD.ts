import { disk, esp, ext4, gpt, lvmPv, partition, volumeGroup } from "imgbuild";
import { layout, mounted } from "../common.ts";

const member = (serial: string, ...more: ReturnType<typeof esp>[]) =>
  disk({
    match: { serial },
    imageSize: "2GiB",
    table: gpt(
      ...more,
      partition({ name: "lvm", type: "linux-lvm", size: "rest", content: lvmPv("system") }),
    ),
  });

/** LVM over two disks with each kind of volume: the root mirrored, scratch striped, the rest thin. */
export default layout("lvm-thin", {
  storage: {
    disks: { first: member("LVM-THIN-1", esp({ size: "192MiB" })), second: member("LVM-THIN-2") },
    volumeGroups: {
      system: volumeGroup({
        root: { kind: "raid1", size: "1280MiB", content: ext4({ mount: "/" }) },
        scratch: { kind: "striped", size: "128MiB", content: ext4({ mount: "/srv/scratch" }) },
        thin: { kind: "thin-pool", size: "512MiB" },
        home: { kind: "thin", pool: "thin", size: "2GiB", content: ext4({ mount: "/home" }) },
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4"), mounted("/srv/scratch", "ext4"), mounted("/home", "ext4")],
});
