import { basename, dirname } from "node:path";
import { onlyArchitecture } from "../tables/architecture.ts";
import { Tree } from "../tree/tree.ts";
import { mergedUsr, parentsOf } from "../util/tree-path.ts";

/** Where initramfs-tools' own files are, whose text shows what else it reads. */
const own = [
  "/usr/share/initramfs-tools",
  "/etc/initramfs-tools",
  "/usr/sbin/mkinitramfs",
  "/usr/sbin/update-initramfs",
];
/** What the programs read that the hooks start (kmod, udev, ldd, blkid …), and what goes in as a whole. */
const read = [
  ...["/usr/share/initramfs-tools", "/etc/initramfs-tools", "/etc/kernel", "/usr/lib/kernel", "/etc/default"],
  ...["/usr/lib/modules", "/usr/lib/firmware", "/usr/lib/modprobe.d", "/etc/modprobe.d", "/etc/depmod.d"],
  ...["/usr/lib/modules-load.d", "/etc/modules-load.d", "/etc/modules", "/usr/lib/depmod.d"],
  ...[
    "/usr/lib/udev",
    "/etc/udev",
    "/etc/blkid.conf",
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/mdadm",
    "/etc/lvm",
  ],
  ...["/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/usr/lib/klibc", "/usr/lib/dracut"],
  ...["/etc/console-setup", "/etc/locale.conf", "/etc/vconsole.conf", "/etc/nsswitch.conf", "/boot"],
];
const libraries = `/${onlyArchitecture.libraries}`;
/** Directories of everything: that one is named says nothing of what is in it. */
const common = new Set([
  ...["/", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/usr/local", "/etc", "/var", "/run"],
  ...["/var/lib", "/var/cache", "/var/log", "/var/tmp", "/usr/lib/systemd", libraries],
]);
const linkerCaches = new Set(["/etc/ld.so.cache", "/var/cache/ldconfig", "/var/cache/ldconfig/aux-cache"]);
const programs = /^\/usr\/(local\/)?s?bin$/;

/**
 * Whether the making of an initramfs may read a path: what its scripts name, by path, by directory or as a
 * program, and what the programs they start read. Rather too much than too little: what is left out must not matter.
 * `before`: the tree that it differs from.
 */
export function initramfsInputs(tree: string, before: string): (path: string) => boolean {
  const text = own.map((path) => textBelow(new Tree(tree), path)).join("\n");
  const named = new Set(text.match(/[A-Za-z0-9_.+@-]+/g) ?? []);
  const paths = new Set(
    (text.match(/\/[A-Za-z0-9_.+@/-]+/g) ?? []).map((path) => mergedUsr(path.replace(/[/.-]+$/, ""))),
  );
  return (given) => {
    const path = mergedUsr(given);
    // What comes out is not what goes in; the linker's caches say of libraries only where they are.
    if (/^\/boot\/(initrd\.img-|grub\/)/.test(path) || linkerCaches.has(path)) return false;
    if ([path, ...parentsOf(path)].some((one) => read.includes(one) || (paths.has(one) && !common.has(one))))
      return true;
    const name = basename(path);
    if (programs.test(dirname(path))) return named.has(name);
    return /\.so(\.|$)/.test(name) && wasLibrary(before, path);
  };
}

/** A library matters when it takes the place of another of its name; a new name is asked for by no program that was there before. */
function wasLibrary(root: string, path: string): boolean {
  const places = [libraries, "/usr/lib", "/usr/lib64"];
  return places.some((place) => new Tree(root).find(`${place}/${basename(path)}`) !== undefined);
}

function textBelow(tree: Tree, path: string): string {
  if (tree.find(path)?.isDirectory())
    return tree
      .list(path)
      .sort()
      .map((name) => textBelow(tree, `${path}/${name}`))
      .join("\n");
  // A comment names things that are only talked of.
  return (tree.text(path) ?? "").replace(/^\s*#.*$/gm, "");
}
