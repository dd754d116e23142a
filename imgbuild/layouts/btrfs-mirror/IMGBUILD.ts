import { btrfsMember, disk, esp, gpt, mdMember, partition, pool, raid, vfat } from "imgbuild";
import { layout, mounted } from "../common.ts";

const half = (serial: string) =>
  disk({
    match: { serial },
    imageSize: "2GiB",
    table: gpt(
      { ...esp({ size: "192MiB" }), content: mdMember("esp") },
      partition({ name: "root", type: "linux-root", size: "rest", content: btrfsMember("system") }),
    ),
  });

/**
 * btrfs over two disks, every block on both, and a mirrored ESP. The machine starts from whichever disk is left: btrfs does that only
 * with `startDegraded`.
 */
export default layout("btrfs-mirror", {
  storage: {
    disks: { first: half("BTRFS-MIR-1"), second: half("BTRFS-MIR-2") },
    arrays: {
      esp: raid(1, { metadata: "1.0", content: vfat({ mount: "/efi", options: ["umask=0077", "nofail"] }) }),
    },
    pools: {
      system: pool({
        subvolumes: { "@": { mount: "/" }, "@srv": { mount: "/srv" } },
        compression: "zstd",
        startDegraded: true,
      }),
    },
  },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "btrfs"), mounted("/srv", "btrfs"), mounted("/efi", "vfat")],
});
