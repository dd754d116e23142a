import { disk, esp, ext4, gpt, luks, partition } from "imgbuild";
import { diskKey, kdf, layout, mounted } from "../common.ts";

/** The root opened by a tang server in the same network: a machine carried away stays shut. */
export default layout("luks-tang", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "LUKS-TANG-1" },
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
              unlock: {
                type: "tang",
                url: "http://192.0.2.10:7500",
                thumbprint: "s_IX0ZmN4EY_dTdPbUQkM6QvWn8jxGUBhT8sY3aqKSw",
              },
              kdf,
              content: ext4({ mount: "/" }),
            }),
          }),
        ),
      }),
    },
  },
  secrets: diskKey,
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4")],
});
