import {
  biosBoot,
  disk,
  esp,
  ext4,
  gpt,
  lvmPv,
  mdMember,
  partition,
  raid,
  root,
  volumeGroup,
  xfs,
} from "imgbuild";
import { layout, mounted } from "../common.ts";

const member = (serial: string) =>
  disk({
    match: { serial },
    imageSize: "1GiB",
    table: gpt(partition({ name: "data", type: "linux-raid", size: "rest", content: mdMember("data") })),
  });

/** Data on three disks, of which one may fail, divided into volumes; the system on a disk of its own. */
export default layout("md-raid5-lvm", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "MD-RAID5-0" },
        imageSize: "2GiB",
        table: gpt(biosBoot(), esp({ size: "192MiB" }), root()),
      }),
      one: member("MD-RAID5-1"),
      two: member("MD-RAID5-2"),
      three: member("MD-RAID5-3"),
    },
    arrays: { data: raid(5, { content: lvmPv("data") }) },
    volumeGroups: {
      data: volumeGroup({
        srv: { size: "512MiB", content: xfs({ mount: "/srv" }) },
        home: { size: "rest", content: ext4({ mount: "/home", options: ["nodev"] }) },
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  health: [mounted("/srv", "xfs"), mounted("/home", "ext4")],
});
