/** Where kernel-install(8) puts a machine's entries, in place of the machine-id, which differs at each deploy. */
export const entryToken = "debian";

/** Files that make kernel-install go on in the same layout when apt brings another kernel. */
export function kernelInstallFiles(cmdline: readonly string[]): { path: string; content: string }[] {
  return [
    { path: "/etc/kernel/entry-token", content: `${entryToken}\n` },
    { path: "/etc/kernel/cmdline", content: `${cmdline.join(" ")}\n` },
    { path: "/etc/kernel/install.conf", content: "layout=bls\n" },
  ];
}

/** A boot entry (UAPI Boot Loader Specification, type 1) of one kernel. */
export function loaderEntry(version: string, title: string, cmdline: readonly string[]): string {
  const directory = `/${entryToken}/${version}`;
  return [
    `title      ${title}`,
    `version    ${version}`,
    `sort-key   ${entryToken}`,
    `options    ${cmdline.join(" ")}`,
    `linux      ${directory}/linux`,
    `initrd     ${directory}/initrd.img-${version}`,
    "",
  ].join("\n");
}

export function loaderConfig(timeoutSeconds: number): string {
  return `timeout ${timeoutSeconds}\neditor no\nconsole-mode keep\n`;
}
