import type { Spec } from "../schema/spec.ts";
import { type BootFile, certificatePath, kernelHooks, loaderHooks } from "./kernel-hooks.ts";
import { kernelInstallFiles, kernelsMount } from "./loader.ts";
import { makeUkiPath, stubPath } from "./make-uki.ts";

/** Where Debian's packages have what goes to the ESP, and where it goes there. */
export const debianLoaders = {
  grub: "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
  shim: "/usr/lib/shim/shimx64.efi.signed",
  mokManager: "/usr/lib/shim/mmx64.efi.signed",
  systemdBoot: "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
} as const;

/** Everything of a tree, beside kernels and initramfs, that may become content of an ESP; relative. */
export const loaderInputs: readonly string[] = [
  ...Object.values(debianLoaders),
  `${debianLoaders.systemdBoot}.signed`,
  stubPath,
  makeUkiPath,
  "/etc/kernel/cmdline",
  "/usr/lib/os-release",
].map((path) => path.slice(1));

type Bootable = Pick<Spec, "boot" | "secrets">;

/** Packages that a system needs to go on booting after its own updates. GRUB's core image for BIOS and its menu are made by imgbuild. */
export function bootPackages({ boot, secrets }: Bootable): string[] {
  if (boot === undefined || !boot.firmware.includes("uefi")) return [];
  const { loader, secureBoot } = boot;
  const shim = secureBoot === "debian" ? ["shim-signed"] : [];
  if (loader === "grub") return ["grub-efi-amd64-signed", ...shim];
  const signed = secureBoot === "debian" ? ["systemd-boot-efi-amd64-signed"] : [];
  const signs = typeof secureBoot === "object" && secrets[secureBoot.key]?.path !== undefined;
  return ["systemd-boot", "systemd-boot-efi", ...signed, ...shim, ...(signs ? ["sbsigntool"] : [])];
}

/** Files of the new system by which its bootloader stays right when kernels and loaders are updated; there before any package is. */
export function bootFiles(spec: Bootable & Pick<Spec, "storage">, cmdline: readonly string[]): BootFile[] {
  const { boot, secrets } = spec;
  if (boot === undefined || !boot.firmware.includes("uefi")) return [];
  const { loader, secureBoot } = boot;
  if (loader === "grub") return loaderHooks(grubCopies(secureBoot === "debian"));
  const layout = loader === "uki" ? "uki" : "bls";
  const own = typeof secureBoot === "object" ? secureBoot : undefined;
  const kernels = kernelsMount(spec);
  return [
    ...kernelInstallFiles(cmdline, layout, kernels),
    ...kernelHooks({
      layout,
      ...(kernels === "/efi" ? {} : { kernelsApart: true }),
      ...(own === undefined ? {} : { signing: { keyPath: secrets[own.key]?.path } }),
    }),
    ...(secureBoot === "debian" ? loaderHooks(shimCopies) : []),
  ];
}

/** The certificate for the new system's own signing; not among the packages' files, so that another key leaves those as they are. */
export function certificateFiles({ boot }: Bootable): BootFile[] {
  const own =
    boot?.firmware.includes("uefi") && typeof boot.secureBoot === "object" ? boot.secureBoot : undefined;
  return own === undefined ? [] : [{ path: certificatePath, content: `${own.certificate.trimEnd()}\n` }];
}

/** Copies of GRUB on the ESP. shim looks for `grubx64.efi` beside itself; GRUB, wherever it lies, for EFI/debian/grub.cfg. */
export function grubCopies(shim: boolean): (readonly [from: string, to: string])[] {
  const { grub, shim: first, mokManager } = debianLoaders;
  if (!shim)
    return [
      [grub, "EFI/debian/grubx64.efi"],
      [grub, "EFI/BOOT/BOOTX64.EFI"],
    ];
  return [
    [grub, "EFI/debian/grubx64.efi"],
    [grub, "EFI/BOOT/grubx64.efi"],
    [mokManager, "EFI/debian/mmx64.efi"],
    [mokManager, "EFI/BOOT/mmx64.efi"],
    [first, "EFI/debian/shimx64.efi"],
    [first, "EFI/BOOT/BOOTX64.EFI"],
  ];
}

/** Copies of shim before systemd-boot, which bootctl(1) does not make at the removable path. */
export const shimCopies: readonly (readonly [from: string, to: string])[] = [
  [`${debianLoaders.systemdBoot}.signed`, "EFI/BOOT/grubx64.efi"],
  [`${debianLoaders.systemdBoot}.signed`, "EFI/debian/grubx64.efi"],
  [debianLoaders.mokManager, "EFI/debian/mmx64.efi"],
  [debianLoaders.mokManager, "EFI/BOOT/mmx64.efi"],
  [debianLoaders.shim, "EFI/debian/shimx64.efi"],
  [debianLoaders.shim, "EFI/BOOT/BOOTX64.EFI"],
];
