import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { debianLoaders, mediaLoaders, onEsp } from "../../boot/efi-files.ts";
import { type Entry, ipxeScript, networkMenu } from "./menu.ts";

/** What a machine without a medium is started from by its network: for iPXE, and for UEFI's own HTTP boot with Secure Boot. */
export const networkNames = {
  ipxe: "boot.ipxe",
  efi: basename(onEsp.removable).toLowerCase(),
} as const;

/** Fills the directory that a web server then serves as its root. Each initramfs is whole: not every loader joins several. */
export async function makeNetworkFiles(
  entries: readonly (Entry & { readonly archive: Uint8Array })[],
  into: string,
  base: { readonly kernel: string; readonly outer: string; readonly squashfs: string; readonly tree: string },
): Promise<void> {
  await mkdir(join(into, "grub"), { recursive: true });
  await copyFile(base.kernel, join(into, "kernel"));
  await copyFile(join(base.tree, debianLoaders.shim), join(into, networkNames.efi));
  await copyFile(join(base.tree, mediaLoaders.network), join(into, basename(mediaLoaders.besideShim)));
  await copyFile(join(base.tree, debianLoaders.mokManager), join(into, basename(mediaLoaders.mokBesideShim)));
  await writeFile(join(into, networkNames.ipxe), ipxeScript(entries));
  await writeFile(join(into, "grub/grub.cfg"), networkMenu(entries));
  for (const { hostname, archive } of entries) {
    await mkdir(join(into, hostname));
    const initrd = join(into, hostname, "initrd");
    for (const part of [base.outer, base.squashfs])
      await pipeline(createReadStream(part), createWriteStream(initrd, { flags: "a" }));
    await writeFile(initrd, archive, { flag: "a" });
  }
}
