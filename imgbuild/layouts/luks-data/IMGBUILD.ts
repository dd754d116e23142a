import { disk, esp, gpt, luks, partition, root, xfs } from "imgbuild";
import { dataKey, diskKey, kdf, layout, mounted } from "../common.ts";

/** Data opened by a key file on the root; on another disk, whose LUKS header is elsewhere: without it the disk is noise. */
export default layout("luks-data", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "LUKS-DATA-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({
            name: "header",
            type: "linux",
            size: "16MiB",
            content: { type: "luks-header", volume: "vault" },
          }),
          partition({
            name: "data",
            type: "linux-luks",
            size: "640MiB",
            content: luks({
              name: "data",
              key: "data-key",
              unlock: { type: "key-file" },
              kdf,
              content: xfs({ mount: "/srv/data" }),
            }),
          }),
          root(),
        ),
      }),
      vault: disk({
        match: { serial: "LUKS-DATA-2" },
        imageSize: "512MiB",
        table: gpt(
          partition({
            name: "vault",
            type: "linux",
            size: "rest",
            content: luks({
              name: "vault",
              key: "disk-key",
              detachedHeader: true,
              // Opened by hand, with the passphrase.
              options: ["noauto"],
              kdf,
              content: { type: "ext4", mount: "/srv/vault", options: ["noauto"] },
            }),
          }),
        ),
      }),
    },
  },
  secrets: { ...diskKey, ...dataKey },
  boot: { firmware: ["uefi"] },
  health: [mounted("/srv/data", "xfs")],
});
