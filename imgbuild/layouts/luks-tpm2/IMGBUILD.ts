import { disk, esp, ext4, gpt, luks, partition } from "imgbuild";
import { diskKey, kdf, layout, mounted } from "../common.ts";

/** The root opened by the machine's TPM, and by a passphrase or a recovery key if that fails. */
export default layout("luks-tpm2", {
  storage: {
    disks: {
      system: disk({
        match: { serial: "LUKS-TPM2-1" },
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
              recoveryKey: "recovery-key",
              unlock: { type: "tpm2", pcrs: [7] },
              kdf,
              content: ext4({ mount: "/" }),
            }),
          }),
        ),
      }),
    },
  },
  secrets: { ...diskKey, "recovery-key": { file: "../../../secrets/layout-recovery-key.age" } },
  boot: { firmware: ["uefi"] },
  health: [mounted("/", "ext4")],
});
