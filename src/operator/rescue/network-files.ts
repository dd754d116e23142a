import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { debianLoaders, mediaLoaders, onEsp } from "../../boot/efi-files.ts";
import { Tree } from "../../tree/tree.ts";
import { type Entry, ipxeScript, networkMenu, onNetwork } from "./menu.ts";

/** What a machine without a medium is started from by its network: for iPXE, and for UEFI's own HTTP boot with Secure Boot. */
const names = { ipxe: "boot.ipxe", efi: basename(onEsp.removable).toLowerCase() } as const;

export function howToServe(directory: string): string {
  return `serve ${directory} as the root of a web server: ${names.ipxe} starts it by iPXE, ${names.efi} by UEFI HTTP boot`;
}

/** Fills the directory that a web server then serves as its root. Each initramfs is whole: not every loader joins several. */
export async function makeNetworkFiles(
  entries: readonly (Entry & { readonly archive: Uint8Array })[],
  into: string,
  base: { readonly kernel: string; readonly outer: string; readonly squashfs: string; readonly tree: string },
): Promise<void> {
  const tree = new Tree(base.tree);
  await mkdir(join(into, "grub"), { recursive: true });
  await copyFile(base.kernel, join(into, "kernel"));
  tree.copyOut(debianLoaders.shim, join(into, names.efi));
  tree.copyOut(mediaLoaders.network, join(into, basename(mediaLoaders.besideShim)));
  tree.copyOut(debianLoaders.mokManager, join(into, basename(mediaLoaders.mokBesideShim)));
  await writeFile(join(into, names.ipxe), ipxeScript(entries));
  await writeFile(join(into, "grub/grub.cfg"), networkMenu(entries));
  for (const { hostname, archive } of entries) {
    const initrd = join(into, onNetwork(hostname));
    await mkdir(dirname(initrd), { recursive: true });
    for (const part of [base.outer, base.squashfs])
      await pipeline(createReadStream(part), createWriteStream(initrd, { flags: "a" }));
    await writeFile(initrd, archive, { flag: "a" });
  }
}
