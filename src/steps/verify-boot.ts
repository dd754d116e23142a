import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fail } from "../util/fail.ts";
import { kernelVersions } from "./make-initramfs.ts";
import { defineStep } from "./step.ts";

/** Smaller than this is no kernel and no initramfs. */
const leastBytes = 1024 * 1024;

/** Looks, before anything is unmounted, whether the firmware will find all that it needs. */
export const verifyBoot = defineStep({
  kind: "verify-boot",
  summary: "check that what was built can boot",
  schema: z.strictObject({
    esp: z.string().startsWith("/").optional(),
    grub: z.boolean(),
    rootUuid: z.string(),
  }),
  tools: [],
  run: async ({ esp, grub, rootUuid }, { root, log }) => {
    const versions = await kernelVersions(root);
    for (const version of versions)
      for (const name of ["vmlinuz", "initrd.img"]) await big(join(root, "boot", `${name}-${version}`));
    const fstab = await readFile(join(root, "etc/fstab"), "utf8");
    if (!fstab.includes(`UUID=${rootUuid} / `)) throw new Fail("fstab does not name the root filesystem");
    const wanted = `root=UUID=${rootUuid}`;
    if (grub) {
      const menu = await readFile(join(root, "boot/grub/grub.cfg"), "utf8");
      if (!menu.includes(wanted)) throw new Fail("GRUB's menu does not name the root filesystem");
      // Through the links, as GRUB will read them.
      for (const name of ["vmlinuz", "initrd.img"]) await linked(root, name);
    }
    if (esp !== undefined) {
      await big(join(esp, "EFI/BOOT/BOOTX64.EFI"), 64 * 1024);
      const entries = await readdir(join(esp, "loader/entries"));
      if (entries.length === 0) throw new Fail("the ESP holds no boot entry");
      for (const name of entries) {
        const text = await readFile(join(esp, "loader/entries", name), "utf8");
        if (!text.includes(wanted)) throw new Fail(`boot entry ${name} does not name the root filesystem`);
        for (const [, path] of text.matchAll(/^(?:linux|initrd)\s+(\S+)$/gm)) await big(join(esp, path!));
      }
    }
    log.info(
      `bootable: ${versions.join(", ")}${grub ? ", GRUB" : ""}${esp === undefined ? "" : ", systemd-boot"}`,
    );
  },
});

async function big(path: string, bytes = leastBytes): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile() || found.size < bytes)
    throw new Fail(`${path} is ${found === undefined ? "missing" : `only ${found.size} bytes`}`, {
      hint: "the system would not boot",
    });
}

async function linked(root: string, name: string): Promise<void> {
  const target = await readlink(join(root, name)).catch(() => undefined);
  if (target === undefined) throw new Fail(`/${name} is not the link that GRUB's menu needs`);
  await big(join(root, target));
}
