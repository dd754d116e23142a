import { grubWord } from "./grub.ts";

/** What starts in place of a system that is not whole yet: the base, by an entry of this name. */
const rescueId = "imgbuild-rescue";
/** The same on the kernel's command line of that base: it did not come from an old system. */
export const rescuedWord = "imgbuild.rescued";
/** GRUB's entry of the base, in a file of its own beside the menu, so that it goes without a change of the menu. */
export const rescueMenuName = `${rescueId}.cfg`;
/** systemd-boot's. */
export const rescueEntryPath = `loader/entries/${rescueId}.conf`;
/** Where the base is on a filesystem of its own or on an ESP. */
export const rescueDirectory = "/imgbuild/rescue";
/** The base's initramfs, in the order in which its parts follow one another; the last has what is of this deploy. */
const rescueParts = ["outer", "squashfs", "carried", "deploy"] as const;

/**
 * A line at the beginning of a loader's configuration, and the line that it becomes when the new system is whole. They are of one
 * length and within one sector: a disk writes it in one piece, at its place, so that at no time there is neither. Nothing of the
 * filesystem changes with it, and GRUB, which reads no journal, sees it at once.
 */
interface Switch {
  readonly rescue: string;
  readonly system: string;
}

export const grubSwitch: Switch = { rescue: "set rescue=yes\n", system: "set rescue=no \n" };

const byDefault = `default ${rescueId}*\n`;
export const loaderSwitch: Switch = { rescue: byDefault, system: `${"#".padEnd(byDefault.length - 1)}\n` };

/** A menu of GRUB whose default is the base until the switch. */
export function rescuingMenu(menu: string): string {
  const file = `$prefix/${rescueMenuName}`;
  return [
    `${grubSwitch.rescue}${menu}`,
    `if [ -f ${file} ]; then source ${file}; fi`,
    'if [ "$rescue" = yes ]; then',
    `  set default=${rescueId}`,
    "  unset fallback",
    "  set timeout=0",
    "fi",
    "",
  ].join("\n");
}

const title = "imgbuild: the base, to go on with a deploy";

/** GRUB's entry of the base, whose files are in a directory of the filesystem with that UUID, as GRUB sees it. */
export function rescueMenu(
  { uuid, directory }: { readonly uuid: string; readonly directory: string },
  cmdline: readonly string[],
): string {
  const initrd = rescueParts.map((name) => grubWord(`${directory}/${name}`)).join(" ");
  return [
    `menuentry ${grubWord(title)} --id ${rescueId} {`,
    `  search --no-floppy --fs-uuid --set=root ${uuid}`,
    `  linux ${[`${directory}/kernel`, ...cmdline].map(grubWord).join(" ")}`,
    `  initrd ${initrd}`,
    "}",
    "",
  ].join("\n");
}

/** systemd-boot's (UAPI Boot Loader Specification, type 1), last in the menu. */
export function rescueEntry(directory: string, cmdline: readonly string[]): string {
  return [
    `title      ${title}`,
    "sort-key   zz-imgbuild",
    `options    ${cmdline.join(" ")}`,
    `linux      ${directory}/kernel`,
    ...rescueParts.map((name) => `initrd     ${directory}/${name}`),
    "",
  ].join("\n");
}

/** Words of the running base's command line that are for its way from the old system, or that the loader adds. */
const notAgain = ["imgbuild.deadman", rescuedWord, "BOOT_IMAGE", "initrd"];

/** The command line of the base as it starts from the disk, from that of the base as it runs. */
export function rescueCmdline(running: string): string[] {
  const words = running.trim().split(/\s+/);
  return [...words.filter((word) => !notAgain.includes(word.split("=")[0]!)), `${rescuedWord}=power`];
}
