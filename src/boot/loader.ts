import type { Spec } from "../schema/spec.ts";

/** Where kernel-install(8) puts a machine's entries, in place of the machine-id, which differs at each deploy. */
export const entryToken = "debian";

/** Where systemd-boot's kernels and entries are: on the ESP, or on an extended boot loader partition. */
type KernelsMount = "/efi" | "/xbootldr";

export function kernelsMount({ storage }: Pick<Spec, "storage">): KernelsMount {
  const apart = Object.values(storage?.disks ?? {}).some(
    (disk) => "table" in disk && disk.table.partitions.some(({ type }) => type === "xbootldr"),
  );
  return apart ? "/xbootldr" : "/efi";
}

/** Files that make kernel-install go on in the same layout when apt brings another kernel. */
export function kernelInstallFiles(
  cmdline: readonly string[],
  layout: "bls" | "uki",
  kernels: KernelsMount = "/efi",
): { path: string; content: string }[] {
  // Unified images are made by the plugin that comes with them, also where ukify is installed one day.
  const generator = layout === "uki" ? "uki_generator=imgbuild\n" : "";
  return [
    { path: "/etc/kernel/entry-token", content: `${entryToken}\n` },
    { path: "/etc/kernel/cmdline", content: `${cmdline.join(" ")}\n` },
    { path: "/etc/kernel/install.conf", content: `layout=${layout}\nBOOT_ROOT=${kernels}\n${generator}` },
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

/** The unified image of one kernel, where kernel-install(8) puts it. */
export function ukiPath(version: string): string {
  return `EFI/Linux/${entryToken}-${version}.efi`;
}

/** `first`: a line before all others. */
export function loaderConfig(timeoutSeconds: number, enroll?: string, first = ""): string {
  const keys = enroll === undefined ? "" : `secure-boot-enroll ${enroll}\n`;
  return `${first}timeout ${timeoutSeconds}\neditor no\nconsole-mode keep\n${keys}`;
}
