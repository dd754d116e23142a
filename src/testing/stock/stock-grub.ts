import { join } from "node:path";
import { chrootRun } from "../../system/door/chroot.ts";
import { run } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { kernelVersion, stockIds } from "./stock-tree.ts";

/** Finds the root filesystem, wherever the firmware counts the disk. */
const embedded = `search.fs_uuid ${stockIds.root} root\nset prefix=($root)/boot/grub\n`;

/** In the tree, and no place over which a program's own memory is laid. */
const scratch = "/var/tmp/grub";
const { efi, grub } = onlyArchitecture;
const modules = { bios: ["biosdisk"], uefi: [] } as const;
const common = ["part_gpt", "ext2", "fat", "search_fs_uuid", "normal"];

/**
 * Puts Debian's GRUB into the tree and the ESP as grub-install would: modules and grub.cfg in /boot/grub, the EFI program
 * at the removable path. Gives the core image for the BIOS boot partition.
 */
export async function installGrub(
  tree: string,
  esp: { readonly file: string; readonly offset: number },
): Promise<{ kernel: string; core: Uint8Array }> {
  const files = new Tree(tree);
  const kernel = kernelVersion(tree);
  for (const platform of Object.values(grub))
    copyModules(files, `/usr/lib/grub/${platform}`, `/boot/grub/${platform}`);
  files.write("/boot/grub/grub.cfg", grubConfig(kernel));
  await chrootRun(tree, ["grub-editenv", "/boot/grub/grubenv", "create"]);
  files.makeDirectories(scratch);
  files.write(`${scratch}/embedded.cfg`, embedded);
  const make = (format: string, output: string, extra: readonly string[]) =>
    chrootRun(tree, [
      ...["grub-mkimage", "--format", format, "--output", `${scratch}/${output}`],
      ...["--config", `${scratch}/embedded.cfg`, "--prefix", "/boot/grub", ...extra, ...common],
    ]);
  await make(grub.bios, "core.img", modules.bios);
  await make(grub.efi, efi.removable, modules.uefi);
  const at = ["-i", `${esp.file}@@${esp.offset}`];
  await run(["mmd", ...at, "::/EFI", "::/EFI/BOOT"]);
  await run(["mcopy", ...at, join(files.directory(scratch), efi.removable), `::/EFI/BOOT/${efi.removable}`]);
  const core = files.read(`${scratch}/core.img`);
  if (core === undefined) throw new Fail("grub-mkimage made no core image");
  files.remove(scratch);
  return { kernel, core };
}

function copyModules(tree: Tree, from: string, to: string): void {
  for (const name of tree.list(from)) {
    if (/\.(img|image|module)$/.test(name)) continue;
    if (tree.find(`${from}/${name}`)?.isDirectory()) copyModules(tree, `${from}/${name}`, `${to}/${name}`);
    else tree.copy(`${from}/${name}`, tree, `${to}/${name}`);
  }
}

/** What grub-mkconfig writes, less its decoration: the one-shot entry of grub-reboot works. */
function grubConfig(kernel: string): string {
  return `if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "\${next_entry}" ] ; then
  set default="\${next_entry}"
  set next_entry=
  save_env next_entry
  set boot_once=true
else
  set default="0"
fi
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple-${stockIds.root}' {
  insmod gzio
  insmod part_gpt
  insmod ext2
  search --no-floppy --fs-uuid --set=root ${stockIds.root}
  linux /boot/vmlinuz-${kernel} root=UUID=${stockIds.root} ro console=tty0 console=ttyS0,115200
  initrd /boot/initrd.img-${kernel}
}
`;
}
