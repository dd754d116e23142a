import { disk, esp, ext4, gpt, luks, partition, root } from "imgbuild";
import { dataKey, layout, mounted } from "../common.ts";

/** An encrypted volume that stays; the key is tried before anything is written. */
export default layout("kept-luks", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "KEPT-LUKS-1" },
        imageSize: "3GiB",
        table: gpt(
          esp({ size: "192MiB" }),
          root({ size: "1536MiB" }),
          partition({
            name: "data",
            type: "linux-luks",
            content: luks({
              name: "data",
              key: "data-key",
              unlock: { type: "key-file" },
              keep: { uuid: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718" },
              content: ext4({
                mount: "/srv/data",
                keep: { uuid: "91b0c2d3-44e5-46f6-8a07-b8c9dae0f1a2" },
              }),
            }),
          }),
        ),
      }),
    },
  },
  secrets: dataKey,
  boot: { firmware: ["uefi"] },
  health: [mounted("/srv/data", "ext4")],
});
