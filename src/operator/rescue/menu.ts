import { grubWord, terminals } from "../../boot/grub.ts";

/** Seconds until the first entry starts by itself: it asks before it writes. */
const timeoutSeconds = 10;
/** The last is what /dev/console is: a machine without that serial port has the screen as both. */
const usualConsoles = ["tty0", "ttyS0,115200"];

/** A definition on a medium. */
export interface Entry {
  readonly hostname: string;
  /** Words of the kernel's command line. */
  readonly cmdline: readonly string[];
}

/** Paths on a medium, from its root; the menus name them, and the base finds them by `Medium.files`. */
export const onMedium = {
  kernel: "imgbuild/base/kernel",
  outer: "imgbuild/base/outer",
  squashfs: "imgbuild/base/squashfs",
  archive: (hostname: string) => `imgbuild/hosts/${hostname}/medium.cpio`,
  tree: (hostname: string) => `imgbuild/hosts/${hostname}/tree.tar.zst`,
} as const;

/** A definition's whole initramfs on a server, from its root. */
export function onNetwork(hostname: string): string {
  return `hosts/${hostname}/initrd`;
}

/** No dead man among them: there is no old system that a restart would bring back. */
export function kernelWords(consoles: readonly string[] | undefined, medium: string): string[] {
  const shown = consoles === undefined || consoles.length === 0 ? usualConsoles : consoles;
  return [...shown.map((name) => `console=${name}`), medium];
}

/** GRUB's menu on a medium with a filesystem, which is found by its label: BIOS and UEFI, disc and USB. */
export function mediumMenu(entries: readonly Entry[], volume: string): string {
  return menu(entries, [`search --no-floppy --set=root --label ${volume}`], ({ hostname }) =>
    [onMedium.outer, onMedium.squashfs, onMedium.archive(hostname)].map((path) => `/${path}`),
  );
}

/** The same where all comes from the server that GRUB came from. */
export function networkMenu(entries: readonly Entry[]): string {
  return menu(entries, [], ({ hostname }) => [`/${onNetwork(hostname)}`], "/kernel");
}

/** What BIOS' GRUB does before it reads its menu. */
export function embeddedSearch(volume: string): string {
  return `search.fs_label ${volume} root\nset prefix=($root)/boot/grub\n`;
}

/** A menu for iPXE; paths are relative to where the script came from. */
export function ipxeScript(entries: readonly Entry[]): string {
  const [first] = entries;
  return [
    "#!ipxe",
    "menu Rescue",
    ...entries.map(({ hostname }) => `item ${hostname} ${titleOf(hostname)}`),
    `choose --timeout ${timeoutSeconds * 1000} --default ${first?.hostname} host || exit`,
    `goto \${host}`,
    ...entries.flatMap(({ hostname, cmdline }) => [
      "",
      `:${hostname}`,
      `kernel kernel initrd=initrd ${cmdline.join(" ")}`,
      `initrd --name initrd ${onNetwork(hostname)}`,
      "boot",
    ]),
    "",
  ].join("\n");
}

function menu(
  entries: readonly Entry[],
  before: readonly string[],
  initrds: (entry: Entry) => readonly string[],
  kernel = `/${onMedium.kernel}`,
): string {
  return [
    ...terminals(usualConsoles),
    "set default=0",
    `set timeout=${timeoutSeconds}`,
    ...before,
    ...entries.flatMap((entry) => [
      "",
      `menuentry ${grubWord(titleOf(entry.hostname))} {`,
      `  linux ${[kernel, ...entry.cmdline].map(grubWord).join(" ")}`,
      `  initrd ${initrds(entry).map(grubWord).join(" ")}`,
      "}",
    ]),
    "",
  ].join("\n");
}

function titleOf(hostname: string): string {
  return `Rebuild ${hostname}`;
}
