import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { entryToken, loaderConfig, loaderEntry } from "../boot/loader.ts";
import { Fail } from "../util/fail.ts";
import { kernelVersions } from "./make-initramfs.ts";
import { defineStep } from "./step.ts";

const loader = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/** The content of the ESP: systemd-boot, also at the path firmware tries unasked; kernels, initramfs, entries last. */
export const installSystemdBoot = defineStep({
  kind: "install-systemd-boot",
  summary: "fill the ESP with systemd-boot, kernels and entries",
  schema: z.strictObject({
    /** Directory that is, or becomes, the ESP's filesystem. */
    esp: z.string().startsWith("/"),
    cmdline: z.array(z.string()),
    title: z.string(),
    timeoutSeconds: z.int(),
  }),
  tools: [],
  run: async ({ esp, cmdline, title, timeoutSeconds }, { root }) => {
    const put = async (from: string, to: string) => {
      await mkdir(dirname(join(esp, to)), { recursive: true });
      await copyFile(join(root, from), join(esp, to)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        throw new Fail(`the tree has no /${from}`, {
          hint: "lock the definition again: its packages are not complete",
        });
      });
    };
    const versions = await kernelVersions(root);
    if (versions.length === 0) throw new Fail("the tree has no kernel in /boot");
    for (const version of versions) {
      await put(`boot/vmlinuz-${version}`, `${entryToken}/${version}/linux`);
      await put(`boot/initrd.img-${version}`, `${entryToken}/${version}/initrd.img-${version}`);
    }
    for (const to of ["EFI/systemd/systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI"]) await put(loader, to);
    await mkdir(join(esp, "loader/entries"), { recursive: true });
    await writeFile(join(esp, "loader/loader.conf"), loaderConfig(timeoutSeconds));
    await writeFile(join(esp, "loader/entries.srel"), "type1\n");
    for (const version of versions)
      await writeFile(
        join(esp, `loader/entries/${entryToken}-${version}.conf`),
        loaderEntry(version, title, cmdline),
      );
  },
});
