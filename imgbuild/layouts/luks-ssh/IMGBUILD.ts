import { disk, esp, ext4, gpt, luks, partition } from "imgbuild";
import { diskKey, kdf, layout, mounted } from "../common.ts";

/** The root of a server without a console: `imgbuild unlock` gives the passphrase to its initramfs over SSH. */
export default layout("luks-ssh", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "LUKS-SSH-1" },
        imageSize: "2GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          partition({
            name: "root",
            type: "linux-luks",
            size: "rest",
            content: luks({
              name: "root",
              key: "disk-key",
              unlock: { type: "ssh", hostKey: "unlock-key" },
              kdf,
              content: ext4({ mount: "/" }),
            }),
          }),
        ),
      }),
    },
  },
  secrets: { ...diskKey, "unlock-key": { file: "../../../secrets/layout-unlock-key.age" } },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4")],
});
