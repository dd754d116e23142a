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

/** An entry that starts the base: how it is known, and its initramfs, in the order in which the parts follow one another. */
interface BaseEntry {
  readonly id: string;
  readonly title: string;
  readonly parts: readonly string[];
}

/** During a build: the last part has what is of this deploy. */
const interim: BaseEntry = {
  id: rescueId,
  title: "imgbuild: the base, to go on with a deploy",
  parts: ["outer", "squashfs", "carried", "deploy"],
};
/** The machine's own rescue system, which stays: the last part has network, keys and host key. */
export const lasting: BaseEntry = {
  id: "imgbuild-base",
  title: "Rescue (imgbuild base)",
  parts: ["outer", "squashfs", "config"],
};
/** What `bootctl set-oneshot` and LoaderEntryOneShot call it. */
export const lastingEntryName = `${lasting.id}.conf`;
/** Its files in the initramfs, below /imgbuild. */
export const lastingData = "rescue.json";
/** GRUB's block of variables, which it writes in place, and in it the entry that is started once (`grub-reboot`). */
export const grubEnvironment = {
  path: "/boot/grub/grubenv",
  bytes: 1024,
  header: "# GRUB Environment Block\n",
};
/** Read by the menu of imgbuild, and by each that `update-grub` makes. */
export const customMenu = "/boot/grub/custom.cfg";
const [began, ended] = [`# ${lasting.id}: begin`, `# ${lasting.id}: end`];

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

/** GRUB's entry of the base, whose files are in a directory of the filesystem with that UUID, as GRUB sees it. */
export function rescueMenu(
  { uuid, directory }: BaseAt,
  cmdline: readonly string[],
  { id, title, parts }: BaseEntry = interim,
): string {
  const initrd = parts.map((name) => grubWord(`${directory}/${name}`)).join(" ");
  return [
    `menuentry ${grubWord(title)} --id ${id} {`,
    // The core image has this command, and not `search`, whose module would have to be found first.
    `  search.fs_uuid ${uuid} root`,
    `  linux ${[`${directory}/kernel`, ...cmdline].map(grubWord).join(" ")}`,
    `  initrd ${initrd}`,
    "}",
    "",
  ].join("\n");
}

interface BaseAt {
  readonly uuid: string;
  readonly directory: string;
}

/** systemd-boot's (UAPI Boot Loader Specification, type 1), last in the menu. */
export function rescueEntry(
  directory: string,
  cmdline: readonly string[],
  { title, parts }: BaseEntry = interim,
): string {
  return [
    `title      ${title}`,
    "sort-key   zz-imgbuild",
    `options    ${cmdline.join(" ")}`,
    `linux      ${directory}/kernel`,
    ...parts.map((name) => `initrd     ${directory}/${name}`),
    "",
  ].join("\n");
}

/** The line of imgbuild's menu that makes GRUB read what stays. */
export const readsCustomMenu = "if [ -f $prefix/custom.cfg ]; then source $prefix/custom.cfg; fi\n";

/**
 * custom.cfg with the entry of the base that stays, in place of an earlier one. GRUB starts it for `next_entry`, once: it takes that
 * back first, and starts the system where it cannot read that it did. Debian's own menus have done so before they read this file.
 */
export function lastingMenu(before: string, at: BaseAt, cmdline: readonly string[]): string {
  const [start, end] = [before.indexOf(began), before.indexOf(ended)];
  const others =
    start < 0 || end < start ? before : before.slice(0, start) + before.slice(end + ended.length + 1);
  const env = "$prefix/grubenv";
  return [
    `${others}${others === "" || others.endsWith("\n") ? "" : "\n"}${began}`,
    `if [ -f ${env} ]; then`,
    "  set next_entry=",
    `  load_env --file ${env} next_entry`,
    `  if [ "$next_entry" = ${lasting.id} ]; then`,
    "    set next_entry=",
    `    save_env --file ${env} next_entry`,
    "    set next_entry=unread",
    `    load_env --file ${env} next_entry`,
    '    if [ -z "$next_entry" ]; then',
    `      set default=${lasting.id}`,
    "      set fallback=0",
    "      set timeout=0",
    "    fi",
    "  fi",
    "  set next_entry=",
    "fi",
    `${rescueMenu(at, cmdline, lasting)}${ended}`,
    "",
  ].join("\n");
}

/** GRUB writes it in place, so all of it is there from the beginning. */
export function emptyEnvironment(): string {
  return grubEnvironment.header.padEnd(grubEnvironment.bytes, "#");
}

/** Words of the running base's command line that are for its way from the old system, or that the loader adds. */
const notAgain = ["imgbuild.deadman", rescuedWord, "BOOT_IMAGE", "initrd"];
/** Those that are of the deploy alone. */
const ofDeploy = ["imgbuild.deploy", "imgbuild.hostname", "nmi_watchdog"];

/** The command line of the base as it starts from the disk, from that of the base as it runs. */
export function rescueCmdline(running: string): string[] {
  return [...without(running, notAgain), `${rescuedWord}=power`];
}

/** The same of the one that stays. Neither word by which it would wait for a deploy, or restart, is on it. */
export function lastingCmdline(words: string, hostname: string): string[] {
  // The label of a name has 63 letters at most.
  const name = `${hostname.split(".")[0]!.slice(0, 56)}-rescue`;
  return [...without(words, [...notAgain, ...ofDeploy]), `imgbuild.hostname=${name}`];
}

function without(words: string, names: readonly string[]): string[] {
  return words
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "" && !names.includes(word.split("=")[0]!));
}
