import { distribution } from "../tables/distribution.ts";
import { shellWord } from "../util/shell-word.ts";
import { debianLoaders, onEsp, stubPath } from "./efi-files.ts";
import { makeUki, makeUkiPath } from "./make-uki.ts";

/** A file of the new system; `mode` default "0644". */
export interface BootFile {
  readonly path: string;
  readonly content: string;
  readonly mode?: string;
}

export interface HookOptions {
  readonly layout: "bls" | "uki";
  /** They are on an extended boot loader partition, which has to be mounted. */
  readonly kernelsApart?: boolean;
  /** With keys of one's own: where the new system has the key, if it has it. */
  readonly signing?: { readonly keyPath: string | undefined };
}

export const certificatePath = "/etc/kernel/secure-boot-certificate.pem";
const signPath = "/usr/lib/imgbuild/sign-efi";
const signLoaderPath = "/usr/lib/imgbuild/sign-loader";
export const loaderStampPath = "/usr/lib/imgbuild/signed-loader.sha256";
const updateLoadersPath = "/usr/lib/imgbuild/update-loaders";
const head = "#!/bin/sh\n# Made by imgbuild (docs/BOOT.md).\n";

/** What lets kernel-install(8) go on as imgbuild began when apt brings another kernel: plugins in /etc/kernel/install.d. */
export function kernelHooks({ layout, kernelsApart = false, signing }: HookOptions): BootFile[] {
  const executable = (path: string, content: string) => ({ path, content, mode: "0755" });
  return [
    executable(
      "/etc/kernel/install.d/89-imgbuild.install",
      before(layout, kernelsApart, signing !== undefined),
    ),
    ...(layout === "uki" ? [executable(makeUkiPath, makeUki)] : []),
    executable("/etc/kernel/postinst.d/zz-imgbuild-boot", afterKernel('add "$1" "/boot/vmlinuz-$1"')),
    executable(
      "/etc/initramfs/post-update.d/zz-imgbuild-boot",
      afterKernel('add "$1" "/boot/vmlinuz-$1" "$2"'),
    ),
    executable("/etc/kernel/postrm.d/zz-imgbuild-boot", afterKernel('remove "$1"')),
    ...["systemd-boot-update", "systemd-boot-random-seed"].map((unit) => ({
      path: `/etc/systemd/system/${unit}.service.d/imgbuild-esp.conf`,
      content:
        "# Made by imgbuild: an ESP in a mirror or on an MBR disk is one too.\n[Service]\nEnvironment=SYSTEMD_RELAX_ESP_CHECKS=1\n",
    })),
    ...(signing === undefined
      ? []
      : [
          executable(signPath, signEfi(signing.keyPath)),
          executable(signLoaderPath, signLoader),
          {
            path: "/etc/systemd/system/systemd-boot-update.service.d/imgbuild.conf",
            content: signLoaderDropIn,
          },
          ...(layout === "bls"
            ? [executable("/etc/kernel/install.d/91-imgbuild-sign.install", signCopied)]
            : []),
        ]),
  ];
}

/** Files that the packages of GRUB and shim bring and nothing else copies to the ESP, the outermost last. */
export function loaderHooks(copies: readonly (readonly [from: string, to: string])[]): BootFile[] {
  return [
    {
      path: updateLoadersPath,
      mode: "0755",
      content: `${head}set -eu
mountpoint -q /efi || exit 0
put() {
    [ -e "$1" ] || return 0
    cmp -s "$1" "/efi/$2" && return 0
    echo "Updating /efi/$2 ..."
    cp "$1" "/efi/$2.new"
    sync "/efi/$2.new"
    mv -f "/efi/$2.new" "/efi/$2"
}
${copies.map(([from, to]) => `put ${from} ${to}`).join("\n")}
`,
    },
    {
      path: `${distribution.settings}/apt.conf.d/90imgbuild-boot`,
      content: `// Made by imgbuild: newer bootloaders reach the ESP.\nDPkg::Post-Invoke { "if [ -x ${updateLoadersPath} ]; then ${updateLoadersPath}; fi"; };\n`,
    },
  ];
}

/** Debian's own hooks do nothing for an ESP in a mirror or on an MBR disk, which bootctl(1) does not take for one. */
const afterKernel = (what: string) => `${head}set -eu
[ -d /run/systemd/system ] || exit 0
! bootctl is-installed --quiet 2>/dev/null || exit 0
[ -e /efi/${onEsp.systemdBoot} ] || exit 0
export SYSTEMD_RELAX_ESP_CHECKS=1
exec kernel-install ${what}
`;

/** Exit code 77 ends kernel-install without a failure: the new kernel is not offered, those before it stay. */
const before = (layout: "bls" | "uki", apart: boolean, signed: boolean) => `${head}set -eu
[ "$1" = add ] || {
    [ "$1" = remove ] && [ "$KERNEL_INSTALL_LAYOUT" = uki ] && [ ! -e /usr/lib/kernel/install.d/90-uki-copy.install ] &&
        rm -f "$KERNEL_INSTALL_BOOT_ROOT/EFI/Linux/$KERNEL_INSTALL_ENTRY_TOKEN-$2.efi"
    exit 0
}
version=$2 kernel=$4
shift 4
[ $# -gt 0 ] || for one in "$KERNEL_INSTALL_STAGING_AREA"/initrd*; do
    [ ! -e "$one" ] || set -- "$@" "$one"
done
[ $# -gt 0 ] || { echo "imgbuild: $version has no initramfs yet and is not entered in the boot menu" >&2; exit 77; }
${signed ? `${signPath} --check "$version" || exit 77\n` : ""}boot=$KERNEL_INSTALL_BOOT_ROOT
${apart ? checkMounted : ""}room() {
    free=$(($(stat -f -c '%a * %S' "$boot")))
    for old; do [ ! -e "$old" ] || free=$((free + $(stat -c %s "$old"))); done
    [ "$free" -gt $((need + 1048576)) ] || {
        echo "imgbuild: $boot has $free bytes left and $version takes $need; remove an old kernel and run: kernel-install add $version $kernel" >&2
        exit 1
    }
}
${layout === "uki" ? stageUki(signed) : checkEntry}`;

/** A file that the partition has from its making: without it, kernels would go to the directory that the mount hides. */
const checkMounted = `[ -e "$boot/loader/entries.srel" ] || {
    echo "imgbuild: $boot is not mounted, so $version is not entered in the boot menu; mount it and run: kernel-install add $version $kernel" >&2
    exit 1
}
`;

const checkEntry = `need=0
for one in "$kernel" "$@"; do need=$((need + $(stat -L -c %s "$one"))); done
entry=$boot/$KERNEL_INSTALL_ENTRY_TOKEN/$version
room "$entry/linux" "$entry"/initrd*
`;

const stageUki = (signed: boolean) => `staged=$KERNEL_INSTALL_STAGING_AREA/uki.efi
cat "$@" > "$KERNEL_INSTALL_STAGING_AREA/.uki-initrd"
${makeUkiPath} --stub ${stubPath} --linux "$kernel" \\
    --initrd "$KERNEL_INSTALL_STAGING_AREA/.uki-initrd" --cmdline /etc/kernel/cmdline \\
    --os-release /usr/lib/os-release --uname "$version" --output "$staged"
rm "$KERNEL_INSTALL_STAGING_AREA/.uki-initrd"
${signed ? `${signPath} "$staged"\n` : ""}need=$(stat -c %s "$staged")
to=$boot/EFI/Linux/$KERNEL_INSTALL_ENTRY_TOKEN-$version.efi
room "$to"
# Debian 12's kernel-install does not know unified images.
[ -e /usr/lib/kernel/install.d/90-uki-copy.install ] || {
    mkdir -p "$boot/EFI/Linux"
    rm -f "$to"
    cp "$staged" "$to.new"
    mv "$to.new" "$to"
}
`;

const signEfi = (
  keyPath: string | undefined,
) => `${head}# Signs an EFI program in place: sign-efi FILE [TO]. --check VERSION: can it?
set -eu
key=${shellWord(keyPath ?? "")}
if [ -z "$key" ] || [ ! -r "$key" ]; then
    echo "imgbuild: $\{2:-$1} is not signed, as this machine does not hold the Secure Boot key$\{key:+ ($key)}: it is not put in the boot menu. Deploy it instead." >&2
    exit 1
fi
[ "$1" != --check ] || exit 0
to=$\{2:-$1}
sbsign --key "$key" --cert ${certificatePath} --output "$to.signing" "$1" >&2
mv -f "$to.signing" "$to"
`;

const loader = debianLoaders.systemdBoot;
/** bootctl(1) prefers the signed loader to the other; an old signed one stays where there is no key for a newer one. */
const signLoader = `${head}set -eu
now=$(sha256sum < ${loader} | cut -c 1-64)
[ "$now" != "$(cat ${loaderStampPath})" ] || exit 0
${signPath} ${loader} ${loader}.signed
echo "$now" > ${loaderStampPath}
`;
const signLoaderDropIn = `# Made by imgbuild.\n[Service]\nExecStartPre=-${signLoaderPath}\n`;

const signCopied = `${head}set -eu
[ "$1" != add ] || ${signPath} "$3/linux"
`;
