import { disk, esp, ext4, gpt, mdMember, partition, raid, vfat } from "imgbuild";
import { layout, mounted } from "../common.ts";

const half = (serial: string) =>
  disk({
    match: { serial },
    imageSize: "2GiB",
    table: gpt(
      { ...esp({ size: "192MiB" }), content: mdMember("esp") },
      partition({ name: "root", type: "linux-raid", size: "rest", content: mdMember("root") }),
    ),
  });

/**
 * Two disks, each the other's copy, the ESP as well: its array has the metadata at the end, so that firmware reads either half as if
 * there were no array. The machine starts from whichever disk is left.
 */
export default layout("md-mirror", {
  storage: {
    disks: { first: half("MD-MIRROR-1"), second: half("MD-MIRROR-2") },
    arrays: {
      esp: raid(1, { metadata: "1.0", content: vfat({ mount: "/efi", options: ["umask=0077", "nofail"] }) }),
      root: raid(1, { content: ext4({ mount: "/" }) }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4"), mounted("/efi", "vfat")],
});
