import { z } from "zod";
import { grubCopies } from "../../boot/efi-files.ts";
import { defineStep } from "../step/step.ts";
import { putter } from "./install-systemd-boot.ts";

/** GRUB for UEFI: Debian's own image, which holds all modules, so nothing has to be made; with shim it passes Secure Boot. */
export const installGrubEfi = defineStep({
  kind: "install-grub-efi",
  summary: "fill the ESP with GRUB",
  schema: z.strictObject({
    /** Directory that is, or becomes, the ESP's filesystem. */
    esp: z.string().startsWith("/"),
    shim: z.boolean(),
    /** EFI/debian/grub.cfg, which leads to the menu on the filesystem of /boot. */
    config: z.string(),
  }),
  run: async ({ esp, shim, config }, { root }) => {
    const put = putter(root, esp);
    for (const [from, to] of grubCopies(shim)) put.file(from, to);
    put.bytes("EFI/debian/grub.cfg", Buffer.from(config));
  },
});
